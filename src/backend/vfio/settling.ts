/**
 * After a restart: "nothing else is bound" is made true. No ioctl lists what is attached, and to
 * detach what is not is harmless: so each number that was granted, and each place that is
 * remembered, is detached, but for those that will be bound again. The RID is attached to the
 * parent where an earlier life was about to do so.
 */

import type { Target } from '../../core/ids.js'
import { BackendFault } from '../backend.js'
import type { Bindings } from './bindings.js'
import type { HeldDevice } from './held-device.js'
import type { Holding } from './holding.js'
import { detachUnbooked } from './letting-go.js'
import { restOnParent } from './rid.js'

/**
 * The RID only where a table of ours is remembered: what else it is on is the VMM's, and keeps its
 * guest going. @throws BackendFault
 */
export async function settle(
  holding: Holding,
  bindings: Bindings,
  device: HeldDevice,
  { granted, keep }: { readonly granted: readonly Target[]; readonly keep: readonly Target[] },
): Promise<void> {
  const kept = new Set(keep)
  const targets = new Set<Target>()
  for (const [target, { through }] of holding.places) if (through.has(device)) targets.add(target)
  for (const target of targets) if (!kept.has(target)) await bindings.unbind(device, target)
  const others = granted.filter((target) => !kept.has(target) && !targets.has(target))
  if (!(await detachUnbooked(device, others, () => false))) {
    throw new BackendFault(`${device.name}: not all of its numbers could be detached`, 'STOP')
  }
  if (holding.unrested.has(device)) await restOnParent(holding, device)
  await holding.hwpts.destroyUnused()
}
