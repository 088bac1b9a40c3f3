/**
 * After a restart: "nothing else is bound" is made true. No ioctl lists what is attached, and to
 * detach what is not is harmless: so each number that was granted, and each place that is
 * remembered, is detached, but for those that will be bound again.
 */

import { RID, type Target } from '../../core/ids.js'
import type { Bindings } from './bindings.js'
import type { HeldDevice } from './held-device.js'
import type { Holding } from './holding.js'
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
  const last = 2 ** device.info.maxPasidLog2
  for (const target of granted) if (target !== RID && target < last) targets.add(target)
  for (const target of targets) if (!kept.has(target)) await bindings.unbind(device, target)
  if (holding.unrested.has(device)) await restOnParent(holding, device)
  await holding.hwpts.destroyUnused()
}
