import { Dialog } from "@/ui/dialog";
import { Kbd } from "@/ui/kbd";
import { SHORTCUTS } from "./shortcuts";

export function ShortcutHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  const groups = [...new Set(SHORTCUTS.map((each) => each.group))];
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts" width="max-w-2xl">
      <div className="max-h-[70vh] overflow-y-auto px-5 pt-1 pb-5">
        <div className="gap-8 sm:columns-2">
          {groups.map((group) => (
            <section key={group} className="mb-4 break-inside-avoid">
              <h3 className="eyebrow mb-1">{group}</h3>
              <dl>
                {SHORTCUTS.filter((each) => each.group === group).map((each) => (
                  <div key={each.id} className="flex items-center justify-between gap-4 py-0.5">
                    <dt>{each.words}</dt>
                    <dd>
                      <Kbd keys={each.keys} />
                    </dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </div>
    </Dialog>
  );
}
