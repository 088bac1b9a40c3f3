/**
 * A device that comes while the broker serves, and is there until the daemon ends. Its number is
 * durable before anybody can attach it, so that what is bound on it means the same device after a
 * restart: absent then, its bindings LOST, until a device of this name comes again.
 */

import { BackendFault } from '../../backend/backend.js'
import { assert } from '../../core/assert.js'
import type { Device, DeviceFacts, Scope } from '../../core/device.js'
import type { Event } from '../../core/events.js'
import { deviceId, DEVICES_MAX, namespaceOfDevice, RID, type DeviceId } from '../../core/ids.js'
import { accept, type Outcome } from '../../core/refusal.js'
import type { State } from '../../core/state.js'
import { deviceView, type DeviceView } from '../../core/view.js'
import { recordOf, type Audit } from '../audit.js'
import { cannotGrant, laneOfDevice, no, refusalOf, unavailable, type Context } from '../context.js'
import { report } from '../teardown.js'

export interface NewDevice {
  readonly name: string
  readonly scope: Scope
  /** Makes it at the backend; its facts carry the name. @throws BackendFault */
  make(): DeviceFacts
  /** Pairs with make(): nobody has had it. */
  unmake(): void
  readonly audit: Audit
}

/** `adding`: names whose devices are being made durable; the broker's own. */
export async function addDevice(
  context: Context,
  adding: Set<string>,
  device: NewDevice,
): Promise<Outcome<DeviceView>> {
  const { state } = context
  const { name, scope } = device
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const known = state.deviceByName.get(name)
  if (known?.facts !== undefined || adding.has(name)) {
    return no(context, { code: 'DEVICE_EXISTS', device: name })
  }
  const kept = known === undefined ? undefined : scopeKept(state, known)
  if (kept !== undefined && kept !== scope) {
    return no(context, { code: 'SCOPE_NOT_ALLOWED', device: name, scope, allowed: kept })
  }
  const id = known?.id ?? nextDeviceId(state)
  if (id === undefined) {
    const problem = `the ledger knows ${DEVICES_MAX} devices, the most it can`
    return no(context, { code: 'BACKEND_REFUSED', device: name, problem })
  }
  adding.add(name)
  try {
    return await register(context, device, id, known === undefined)
  } finally {
    adding.delete(name)
  }
}

async function register(
  context: Context,
  device: NewDevice,
  id: DeviceId,
  isNew: boolean,
): Promise<Outcome<DeviceView>> {
  const { state, queue } = context
  const { name, scope } = device
  let facts: DeviceFacts
  try {
    facts = device.make()
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    return no(context, refusalOf(name, fault))
  }
  assert(facts.name === name, 'the device that was made is the one that was asked for')
  const record = recordOf(context, device.audit, 'DONE')
  const events: Event[] = isNew ? [{ kind: 'device-registered', id, name }] : []
  const { revision } = queue.submit([...events, { kind: 'audited', record }])
  if (!(await queue.settled(revision))) {
    device.unmake()
    return no(context, unavailable())
  }
  state.describeDevice(id, facts, scope)
  await attachAgain(context, state.device(id))
  return accept(deviceView(state, state.device(id)))
}

/**
 * The scope that a device known from earlier must have again: of the numbers that are held in its
 * own numbering, or else of those that are bound on it. Undefined: either.
 */
function scopeKept(state: State, device: Device): Scope | undefined {
  const own = state.namespaces.get(namespaceOfDevice(device.id))?.counts
  if (own !== undefined && own.held + own.pending > 0) return 'DEVICE'
  for (const binding of state.bindings.values()) {
    if (binding.device === device.id && binding.target !== RID) return 'HOST'
  }
  return undefined
}

/** Undefined: the ledger is full of them. Numbers are never used for another name. */
function nextDeviceId(state: State): DeviceId | undefined {
  let next = 0
  for (const id of state.devices.keys()) next = Math.max(next, id + 1)
  return next < DEVICES_MAX ? deviceId(next) : undefined
}

/**
 * Sessions that had the device attached before it was gone have it again. On their lanes, in the
 * turn in which the device is described: whatever they ask of it comes after.
 */
async function attachAgain(context: Context, device: Device): Promise<void> {
  const { state, lanes, backend } = context
  const attached = [...device.attachedBy].map((session) => {
    return lanes.run([laneOfDevice(context, session, device)], async () => {
      const attachment = state.sessions.get(session)?.attachments.get(device.id)
      if (attachment?.state !== 'ATTACHED') return
      try {
        await backend.attachDevice(device.name, session)
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        report(context, device.name, 'attach', fault)
      }
    })
  })
  await Promise.all(attached)
}
