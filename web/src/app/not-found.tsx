import { Link } from "@tanstack/react-router";
import { MapPinOff } from "lucide-react";
import { EmptyState } from "@/ui/states";

export function NotFound() {
  return (
    <EmptyState
      icon={MapPinOff}
      title="There is no such page"
      why="The address may be of an older version, or a part of it may be missing."
      action={
        <Link to="/" className="link">
          Go to the overview
        </Link>
      }
    />
  );
}
