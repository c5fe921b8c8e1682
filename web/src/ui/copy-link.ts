import { toast } from "./toast";

export async function copyLink(): Promise<void> {
  await navigator.clipboard.writeText(location.href);
  toast("Link copied");
}
