/** A list that follows what comes, until somebody reads. */

import { Pause, Play } from "lucide-react";
import { type MouseEvent, useEffect, useState } from "react";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { useShortcut } from "./use-shortcut";

interface Following {
  /** New rows wait: by the button, while a row is open, or as the reader has scrolled away. */
  isPaused: boolean;
  isHeld: boolean;
  toggle: () => void;
  /** Lets in what waits now, and stays paused where it was. */
  letIn: () => void;
  setAway: (away: boolean) => void;
}

/**
 * @param isReading a row is open, and must not be pushed away.
 * @param isLive there is something to follow.
 */
export function useFollowing(isReading: boolean, isLive: boolean): Following {
  const [isHeld, setHeld] = useState(false);
  const [isAway, setAway] = useState(false);
  const [isLettingIn, setLettingIn] = useState(false);
  useEffect(() => {
    if (isLettingIn) setLettingIn(false);
  }, [isLettingIn]);
  const toggle = () => setHeld(!isHeld);
  useShortcut("pause", toggle, isLive);
  const isPaused = !isLettingIn && (isHeld || isAway || isReading);
  return { isPaused, isHeld, toggle, letIn: () => setLettingIn(true), setAway };
}

export function FollowButton({ follow, pending }: { follow: Following; pending: number }) {
  const show = (event: MouseEvent<HTMLElement>) => {
    follow.letIn();
    // The one list of the screen: what is new stands at its top.
    const screen = event.currentTarget.closest("main");
    screen?.querySelector("section[data-scroll-restoration-id]")?.scrollTo({ top: 0 });
  };
  return (
    <>
      <span aria-live="polite" className="text-sm text-soft">
        {follow.isPaused &&
          (pending > 0 ? (
            <button type="button" className="link" title="Show them" onClick={show}>
              Paused, {count(pending)} new
            </button>
          ) : (
            "Paused"
          ))}
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
