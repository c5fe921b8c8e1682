import type { LinkProps } from "@tanstack/react-router";

export function buildTo(build: { client_id: string; id: string }): LinkProps {
  return { to: "/builds/$client/$id", params: { client: build.client_id, id: build.id } };
}

export function siteTo(site: { client_id: string; name: string }): LinkProps {
  return {
    to: "/builds/sites/$client/$name",
    params: { client: site.client_id, name: site.name },
  };
}
