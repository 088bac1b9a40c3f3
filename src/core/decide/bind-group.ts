/**
 * What a bind means for the other devices of an IOMMU group. One entry is written to the tables of
 * all of them (Linux iommu_attach_group_handle, iommu_attach_device_pasid), so there can be only
 * one table for one target in a group, and whatever the table needs, each of them must have.
 */

import type { Binding } from '../binding.js'
import { sameTable } from '../binding.js'
import type { BindPasid } from '../commands.js'
import type { Device, DeviceFacts } from '../device.js'
import { RID, type DeviceId, type SessionId, type Target } from '../ids.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { State } from '../state.js'

export interface BindStep {
  readonly device: Device
  readonly before: Binding | undefined
  readonly after: Binding
}

/** Whose tables the entry reaches; of those without PASIDs, the kernel skips all but the RID's. */
export function reachedBy(state: State, device: Device, target: Target): readonly DeviceFacts[] {
  if (device.facts?.group === undefined) return device.facts === undefined ? [] : [device.facts]
  const reached: DeviceFacts[] = []
  for (const { facts } of state.groupOf(device)) {
    if (facts !== undefined && (target === RID || facts.pasidBits > 0)) reached.push(facts)
  }
  return reached
}

/** Bits of the numbers that can be bound on the device; undefined: the backend does not know it. */
export function widthIn(state: State, device: Device): number | undefined {
  let bits = device.facts?.pasidBits
  if (bits === undefined || device.facts?.group === undefined) return bits
  for (const { facts } of state.groupOf(device)) {
    if (facts !== undefined && facts.pasidBits > 0) bits = Math.min(bits, facts.pasidBits)
  }
  return bits
}

/**
 * The steps that a replace takes for group members that were not named: Linux
 * iommufd_device_do_replace moves every attachment of the group to the new table, through whichever
 * device it is asked. A bind that is none meets the same table there, or is refused
 * (iommufd_device_do_attach: EINVAL).
 */
export function groupSteps(
  state: State,
  command: BindPasid,
  named: readonly BindStep[],
): Outcome<readonly BindStep[]> {
  const seen = new Set<DeviceId>(named.map(({ device }) => device.id))
  const steps: BindStep[] = []
  for (const { device } of named) {
    const group = device.facts?.group
    if (group === undefined) continue
    for (const member of state.groupOf(device)) {
      if (seen.has(member.id)) continue
      seen.add(member.id)
      const standing = state.bindingAt(member.id, command.target)
      if (standing === undefined || standing.state === 'LOST') continue
      if (command.replace) {
        // One that is on its way out gets the new table in passing, and is counted out of it.
        if (standing.state !== 'UNBINDING') steps.push(stepOf(member, standing, command))
        continue
      }
      if (isSame(standing, command, command.session)) continue
      const { target } = command
      const [name, other] = [device.name, member.name]
      return refuse({ code: 'GROUP_TABLE_MISMATCH', device: name, target, group, other })
    }
  }
  return accept(steps)
}

/** A group has one entry, and so one domain as well. */
function isSame(standing: Binding, { table, domain }: BindPasid, session: SessionId): boolean {
  const { session: holder } = standing
  return holder === session && sameTable(standing.table, table) && standing.domain === domain
}

function stepOf(device: Device, before: Binding, { table, domain }: BindPasid): BindStep {
  const previous = { table: before.table, domain: before.domain }
  return { device, before, after: { ...before, table, domain, previous, state: 'BINDING' } }
}
