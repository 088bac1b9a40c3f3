/**
 * Invalidate: the whole batch is validated before its first entry runs. Changes no state: the
 * answer is what the backend is to do, entry by entry, against bindings whose effect is done.
 */

import type { Binding } from '../binding.js'
import type {
  Invalidate,
  InvalidationCache,
  InvalidationEntry,
  RawInvalidationEntry,
} from '../commands.js'
import { accepted, refused, type Decided } from '../decided.js'
import { RID, type DeviceId, type DomainId, type Target } from '../ids.js'
import { SLOT } from '../namespace.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'
import { attachedDevice, openSession } from './preconditions.js'

export interface InvalidationStep {
  readonly entry: InvalidationEntry | RawInvalidationEntry
  /** Bindings that it reaches; none is legal at domain granularity. */
  readonly bindings: readonly Binding[]
}

/** Granularity × cache, after include/uapi/linux/iommu.h of 2020. All caches named must fit. */
const SUPPORTED: Readonly<Record<string, readonly InvalidationCache[]>> = {
  DOMAIN: ['IOTLB', 'PASID_CACHE'],
  PASID: ['IOTLB', 'DEVICE_TLB', 'PASID_CACHE'],
  ADDRESS: ['IOTLB', 'DEVICE_TLB'],
}

export function invalidate(
  state: State,
  command: Invalidate,
): Decided<readonly InvalidationStep[]> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const steps: InvalidationStep[] = []
  const domains = new Map<DomainId, readonly Binding[]>()
  for (let i = 0; i < command.entries.length; i += 1) {
    const entry = command.entries[i]
    if (entry === undefined) continue
    const { kind } = entry.granularity
    const fit = SUPPORTED[kind] ?? []
    if (!entry.caches.every((cache) => fit.includes(cache))) {
      const caches = entry.caches.join(' | ')
      return refused({ code: 'INVALIDATION_UNSUPPORTED', entry: i, granularity: kind, caches })
    }
    const reached = bindingsReached(state, session.found, entry, domains)
    if (!reached.ok) return refused(reached.refusal)
    steps.push({ entry, bindings: reached.value })
  }
  return accepted([], steps)
}

function bindingsReached(
  state: State,
  session: Session,
  entry: InvalidationEntry,
  domains: Map<DomainId, readonly Binding[]>,
): Outcome<readonly Binding[]> {
  const { granularity } = entry
  if (granularity.kind !== 'DOMAIN') {
    return bindingsOfTarget(state, session, granularity.target, granularity.device)
  }
  // Entries of one batch that name the same domain share one list.
  const known = domains.get(granularity.domain)
  if (known !== undefined) return accept(known)
  const reached: Binding[] = []
  for (const key of session.domains.get(granularity.domain) ?? []) {
    const binding = state.bindings.get(key)
    if (binding?.state === 'BOUND') reached.push(binding)
  }
  domains.set(granularity.domain, reached)
  return accept(reached)
}

function bindingsOfTarget(
  state: State,
  session: Session,
  target: Target,
  name: string | undefined,
): Outcome<readonly Binding[]> {
  const reached: Binding[] = []
  let ids: Iterable<DeviceId> = session.attachments.keys()
  if (name !== undefined) {
    const device = attachedDevice(state, session, name)
    if (!device.ok) return device
    ids = [device.value.id]
  }
  for (const id of ids) {
    const binding = state.bindingAt(id, target)
    if (binding?.session === session.record.id && binding.state === 'BOUND') reached.push(binding)
  }
  if (reached.length > 0) return accept(reached)
  if (target !== RID && !owned(state, session, target)) {
    return refuse({ code: 'PASID_NOT_FOUND', pasid: target, scope: 'HOST' })
  }
  return refuse({ code: 'NOT_BOUND', device: name ?? '', target })
}

function owned(state: State, session: Session, target: Target): boolean {
  for (const namespace of state.namespaces.values()) {
    if (target >= namespace.size || namespace.slotOf(target) === SLOT.FREE) continue
    if (namespace.sessionOf(target) === session.record.id) return true
  }
  return false
}
