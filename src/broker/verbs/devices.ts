/**
 * AttachDevice, by number only or with a device that was handed over, and DetachDevice. Holds: a
 * descriptor that was taken is the backend's, whatever becomes of the attachment.
 */

import { BackendFault, type HandOver, type NativeAttachment } from '../../backend/backend.js'
import type { AttachDevice, DetachDevice } from '../../core/commands.js'
import type { Attaching } from '../../core/decide/device.js'
import type { Device } from '../../core/device.js'
import { target, type SessionId, type Target } from '../../core/ids.js'
import { completions, verbs } from '../../core/machine.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import type { Session } from '../../core/session.js'
import type { State } from '../../core/state.js'
import { deviceView } from '../../core/view.js'
import type { AttachedDevice, DetachedDevice } from '../answers.js'
import {
  cannotGrant,
  laneOfDevice,
  lanesOf,
  make,
  no,
  refusalOf,
  unavailable,
  type Context,
} from '../context.js'
import type { Departures } from '../departures.js'
import { report, type Teardown } from '../teardown.js'

/** Called at most once, when nothing else speaks against it; what it answers is the broker's. */
export type TakeHandOver = () => Outcome<HandOver>

const NO_HAND_OVERS = {
  code: 'FEATURE_NOT_AVAILABLE',
  feature: 'native-backend',
  remedy: 'attach the device without hand_over: it is of the broker itself',
} as const

/** The intent is durable before the backend acts, so that a crash between leaves a trace. */
export async function attachDevice(
  context: Context,
  departures: Departures,
  command: AttachDevice,
  take?: TakeHandOver,
): Promise<Outcome<AttachedDevice>> {
  if (take !== undefined && context.backend.handOvers === undefined) {
    return no(context, NO_HAND_OVERS)
  }
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const made = await make(context, (now) => verbs.attachDevice(context.state, command, now))
  if (!made.ok) return made
  const { answer, revision } = made.value
  if (!(await context.queue.settled(revision))) return no(context, unavailable())
  const { session } = command
  // Behind all that the session has queued: what reaches "all devices" holds the lanes of those
  // that there were when it came, and must not meet this one without its lane.
  const lanes = lanesOf(context, context.state.sessions.get(session))
  await context.lanes.run(lanes, () => Promise.resolve())
  const device = context.state.device(answer.device)
  return context.lanes.run([laneOfDevice(context, session, device)], () => {
    return attachOnLane(context, departures, { session, device, begin: answer.begin, take })
  })
}

interface OnLane {
  readonly session: SessionId
  readonly device: Device
  readonly begin: Attaching['begin']
  readonly take: TakeHandOver | undefined
}

async function attachOnLane(
  context: Context,
  departures: Departures,
  { session, device, begin, take }: OnLane,
): Promise<Outcome<AttachedDevice>> {
  const { state, backend } = context
  const stands = () => state.sessions.get(session)?.attachments.get(device.id)?.state
  const complete = (attached: boolean): void => {
    const done = completions.completeAttach(state, { session, device: device.id }, attached)
    if (done.length > 0) context.queue.submit(done)
  }
  let native: NativeAttachment | undefined
  // A look binds the device for a moment, which would be in the way.
  const look = begin ? departures.looking(device.name) : undefined
  if (look !== undefined) await look
  const begins = begin && stands() === 'ATTACHING'
  try {
    if (begins) {
      const handed = taken(departures, state.session(session), take)
      if (!handed.ok) {
        complete(false)
        return no(context, handed.refusal)
      }
      native = await backend.attachDevice(device.name, session, handed.value)
      if (handed.value !== undefined) departures.seenClosed(device.name)
      describeAgain(context, device)
      complete(true)
      if (departures.isGoing(session)) await departures.again(session)
    } else if (backend.handOvers?.holds(device.name, session) === true) {
      // Asked again: it changes nothing, and says how the attachment stands.
      const unused = unusedBy(state, session, device)
      native = await backend.attachDevice(device.name, session, undefined, unused)
    }
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, device.name, 'attach', fault)
    if (begins) complete(false)
    return no(context, refusalOf(device.name, fault))
  }
  if (stands() === 'ATTACHED') return accept({ device: deviceView(state, device), native })
  return no(context, { code: 'DEVICE_NOT_ATTACHED', device: device.name })
}

/** Within the device's width; nowhere, since an IOMMU group may have devices of several scopes. */
function unusedBy(state: State, session: SessionId, { facts }: Device): Target | undefined {
  const namespaces = [...state.namespaces.values()]
  const end = 2 ** (facts?.pasidBits ?? 0)
  for (let pasid = 1; pasid < end; pasid += 1) {
    if (namespaces.every((each) => each.sessionOf(pasid) !== session)) return target(pasid)
  }
  return undefined
}

/** What is handed over; it is for the backend at once. */
function taken(
  departures: Departures,
  { record }: Session,
  take: TakeHandOver | undefined,
): Outcome<HandOver | undefined> {
  if (departures.isGoing(record.id)) {
    return refuse({ code: 'SESSION_CLOSING', session: record.name })
  }
  return take === undefined ? accept(undefined) : take()
}

/**
 * A device that is in the backend's hands is better known. Numbers beyond a width that turned out
 * smaller stay held; a bind of theirs is refused (PASID_BEYOND_DEVICE_WIDTH).
 */
export function describeAgain({ backend, state }: Context, device: Device): void {
  if (backend.handOvers === undefined) return
  const facts = backend.devices().find(({ name }) => name === device.name)
  if (facts !== undefined) state.describeDevice(device.id, facts, device.scope)
}

export async function detachDevice(
  context: Context,
  teardown: Teardown,
  command: DetachDevice,
): Promise<Outcome<DetachedDevice>> {
  const made = await make(context, (now) => verbs.detachDevice(context.state, command, now))
  if (!made.ok) return made
  const { answer, revision } = made.value
  const durable = await context.queue.settled(revision)
  const { session } = command
  if (answer.device === undefined || teardown.detaches(session, answer.device)) {
    return accept({ unbound: 0, durable })
  }
  const bindings = answer.teardown
  const job = { session, bindings, pending: [], devices: [answer.device], closing: false }
  await teardown.begin(job)
  return accept({ unbound: bindings.length, durable })
}
