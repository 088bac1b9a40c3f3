/** A canonical text of a state: two states are the same when their texts are. */

import { REQUEST_IDS_KEPT_MIN } from '../../src/core/limits.js'
import { SLOT } from '../../src/core/namespace.js'
import type { State } from '../../src/core/state.js'

/**
 * Everything durable about the state, sorted, one fact a line. Left out: what a restart forgets by
 * design (cursors, ends of holds) and numbers at rest, which time alone moves.
 */
export function canonicalLines(state: State): string[] {
  const lines: string[] = []
  for (const namespace of state.namespaces.values()) {
    const name = state.scopeName(namespace.id)
    for (let at = namespace.nextKnown(0); at !== undefined; at = namespace.nextKnown(at)) {
      const slot = namespace.slotOf(at)
      if (slot === SLOT.QUARANTINED) continue
      const { session, tenant, generation, at: granted } = namespace.holderOf(at)
      const labels = JSON.stringify(sorted(state.labels.get(generation)?.labels ?? {}))
      lines.push(
        `pasid ${name} ${at} ${slot} ${session} ${tenant} ${generation} ${granted} ${labels}`,
      )
    }
  }
  for (const session of state.sessions.values()) {
    const { record } = session
    const parts = [sorted({ ...record, labels: undefined, owner: undefined })]
    parts.push(sorted(record.labels), sorted({ ...record.owner }))
    lines.push(`session ${JSON.stringify(parts)}`)
    for (const [device, attachment] of session.attachments) {
      lines.push(`attachment ${record.id} ${device} ${attachment.state}`)
    }
    lines.push(...requestLines(`session ${record.id}`, session.requests.entries()))
  }
  for (const [key, binding] of state.bindings) {
    lines.push(`binding ${key} ${JSON.stringify(sorted({ ...binding }))}`)
  }
  for (const tenant of state.tenants.values()) {
    lines.push(
      `tenant ${tenant.id} ${tenant.name} ${JSON.stringify(sorted({ ...tenant.override }))}`,
    )
    lines.push(...requestLines(`tenant ${tenant.id}`, tenant.requests.entries()))
  }
  for (const device of state.devices.values()) lines.push(`device ${device.id} ${device.name}`)
  return lines.sort()
}

/** Only those that must be kept: an older one may be forgotten here and not yet there. */
function requestLines(owner: string, entries: Iterable<string>): string[] {
  const all = [...entries].map((entry) => `request ${owner} ${entry}`)
  return all.slice(-REQUEST_IDS_KEPT_MIN)
}

function sorted(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * Everything that a state holds, what follows from the rest and what a restart forgets included: a
 * change that was undone leaves no trace in it. Left out: session numbers given, which are never
 * given twice, and the order of maps.
 */
export function exactLines(state: State): string[] {
  const lines = canonicalLines(state)
  lines.push(`revision ${state.revision} requests ${state.requestIds} host ${state.hostUsed}`)
  lines.push(`aside of host ${state.hostAside.aside}`)
  for (const namespace of state.namespaces.values()) {
    const { id, cursor, freeCount, reservedCount, counts } = namespace
    lines.push(`namespace ${id} ${cursor} ${freeCount} ${reservedCount} ${JSON.stringify(counts)}`)
    for (let at = namespace.nextKnown(0); at !== undefined; at = namespace.nextKnown(at)) {
      lines.push(`number ${id} ${at} ${namespace.slotOf(at)} ${namespace.bindingsOf(at)}`)
    }
    for (const { record } of state.sessions.values()) {
      const own = [...namespace.heldBy(record.id)].sort((a, b) => a - b)
      lines.push(`held ${id} ${record.id} ${own.join(' ')}`)
    }
  }
  for (const { record, held, bindings, lost, ...session } of state.sessions.values()) {
    const { domains, openedRevision } = session
    const keys = [...bindings].sort((a, b) => a - b)
    lines.push(`session ${record.id} ${openedRevision} ${held} ${lost} ${keys.join(' ')}`)
    for (const [domain, members] of domains) {
      lines.push(`domain ${record.id} ${domain} ${[...members].sort((a, b) => a - b).join(' ')}`)
    }
  }
  for (const { id, used, usedInHost, asideBelow, aside, ...tenant } of state.tenants.values()) {
    const { sessions, parent, policy } = tenant
    lines.push(`tenant ${id} ${used} ${sessions} ${parent?.name}`)
    lines.push(`aside ${id} ${usedInHost} ${asideBelow} ${aside} ${JSON.stringify(policy)}`)
  }
  for (const { id, attachedBy } of state.devices.values()) {
    lines.push(`device ${id} ${[...attachedBy].sort((a, b) => a - b).join(' ')}`)
  }
  for (const { record, guestPasids } of state.sessions.values()) {
    for (const [key, binding] of guestPasids) lines.push(`guest ${record.id} ${key} ${binding}`)
  }
  for (const [id, { numbers }] of state.labels) lines.push(`labels ${id} ${numbers}`)
  for (const resting of state.quarantine.entries()) lines.push(`rest ${JSON.stringify(resting)}`)
  for (const { session, revision } of state.closed) {
    lines.push(`closed ${session.record.id} ${revision}`)
  }
  return lines.sort()
}
