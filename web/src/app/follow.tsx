/** A list that follows what comes, until somebody reads. */

import { Pause, Play } from "lucide-react";
import { useState } from "react";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { useShortcut } from "./use-shortcut";

interface Following {
  /** New rows wait: by the button, while a row is open, or as the reader has scrolled away. */
  isPaused: boolean;
  isHeld: boolean;
  toggle: () => void;
  setAway: (away: boolean) => void;
}

/**
 * @param isReading a row is open, and must not be pushed away.
 * @param isLive there is something to follow.
 */
export function useFollowing(isReading: boolean, isLive: boolean): Following {
  const [isHeld, setHeld] = useState(false);
  const [isAway, setAway] = useState(false);
  const toggle = () => setHeld(!isHeld);
  useShortcut("pause", toggle, isLive);
  return { isPaused: isHeld || isAway || isReading, isHeld, toggle, setAway };
}

export function FollowButton({ follow, pending }: { follow: Following; pending: number }) {
  return (
    <>
      <span aria-live="polite" className="text-sm text-soft">
        {follow.isPaused && (pending > 0 ? `Paused, ${count(pending)} new` : "Paused")}
      </span>
      <Button
        icon={follow.isHeld ? Play : Pause}
        onClick={follow.toggle}
        aria-pressed={follow.isHeld}
      >
        {follow.isHeld ? "Follow" : "Pause"}
      </Button>
    </>
  );
}
