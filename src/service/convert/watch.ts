/**
 * Durable changes as those who watch see them. A change may be of any size (the end of a session
 * that held a million numbers), so its messages are made one by one, as they are taken; each stays
 * small, and all carry the change's revision.
 */

import type {
  AttachmentChanged,
  BindingChanged,
  Change,
  Event,
  SessionChanged,
} from '../../core/events.js'
import { HOST_NAMESPACE, type DeviceId, type NamespaceId, type SessionId } from '../../core/ids.js'
import type { PasidRun } from '../../core/range.js'
import type { State } from '../../core/state.js'
import { bindingView } from '../../core/view.js'
import type { AllocationState } from '../../wire/generated/pasid/v1/AllocationState.js'
import type { WatchEvent } from '../../wire/generated/pasid/v1/WatchEvent.js'
import type { WatchResponse } from '../../wire/generated/pasid/v1/WatchResponse.js'
import { auditRecordProto } from './audit.js'
import { bindingProto } from './binding.js'
import { processProto } from './process.js'
import { auditSize, bindingSize } from './row-size.js'
import { deviceName, scopeProto } from './scope.js'
import { END_CAUSES, SESSION_STATES } from './session.js'

/** Where the numbers of events get their names from. */
interface WatchNames {
  readonly state: State
  /** Also of a session that is gone, while a change that names it may still be told. */
  sessionName(id: SessionId): string | undefined
}

interface Sized {
  readonly event: WatchEvent
  /** Bytes that it takes in a message, at most. */
  readonly size: number
}

/** Tags, lengths, names and numbers of an event beside its lists. */
const EVENT_BYTES = 256
/** Two numbers of three bytes at most, with tags and a length. */
const RANGE_BYTES = 12

/** None for a change of which nothing is to be seen. */
export function* watchMessages(
  names: WatchNames,
  change: Change,
  bytesMax: number,
): Generator<WatchResponse> {
  const { revision } = change
  let events: WatchEvent[] = []
  let bytes = 0
  for (const { event, size } of eventsOf(names, change, bytesMax)) {
    if (events.length > 0 && bytes + size > bytesMax) {
      yield { change: { revision, events } }
      events = []
      bytes = 0
    }
    events.push(event)
    bytes += size
  }
  if (events.length > 0) yield { change: { revision, events } }
}

function* eventsOf(
  names: WatchNames,
  { revision, events }: Change,
  bytesMax: number,
): Generator<Sized> {
  for (const event of events) {
    switch (event.kind) {
      case 'session-changed':
        yield sessionEvent(names, event)
        break
      case 'granted':
      case 'free-begun':
      case 'released':
        yield* numbersEvents(names, event, bytesMax)
        break
      case 'binding-changed':
        yield* bindingEvent(names, event)
        break
      case 'attachment-changed':
        yield* attachmentEvent(names, event)
        break
      case 'tenant-changed': {
        const tenant = `tenants/${names.state.tenant(event.id).name}`
        yield { event: { tenant }, size: EVENT_BYTES }
        break
      }
      case 'audited': {
        const audit = auditRecordProto(revision, event.record)
        yield { event: { audit }, size: EVENT_BYTES + auditSize(event.record) }
        break
      }
      // What the daemon notes for itself.
      case 'tenant-registered':
      case 'device-registered':
      case 'request-kept':
    }
  }
}

function sessionEvent({ state }: WatchNames, { before, after }: SessionChanged): Sized {
  const record = after ?? before
  if (record === undefined) return { event: {}, size: 0 }
  const { name, tenant, owner, cause } = record
  const session = {
    name: `sessions/${name}`,
    tenant: `tenants/${state.tenant(tenant).name}`,
    ...(after !== undefined && { state: SESSION_STATES[after.state] }),
    ...(cause !== undefined && { cause: END_CAUSES[cause] }),
    ...(owner !== undefined && { owner: processProto(owner) }),
  }
  return { event: { session }, size: EVENT_BYTES }
}

function nameOf(names: WatchNames, id: SessionId): string {
  const name = names.sessionName(id)
  return name === undefined ? '' : `sessions/${name}`
}

const NUMBER_STATES = {
  granted: 'ALLOCATION_STATE_IDLE',
  'free-begun': 'ALLOCATION_STATE_FREE_PENDING',
  released: 'ALLOCATION_STATE_QUARANTINED',
} as const satisfies Partial<Record<Event['kind'], AllocationState>>

function* numbersEvents(
  names: WatchNames,
  event: Extract<Event, { readonly runs: readonly PasidRun[] }>,
  bytesMax: number,
): Generator<Sized> {
  const { namespace, session, runs, kind } = event
  const numbers = {
    ...scopeOf(names.state, namespace),
    state: NUMBER_STATES[kind],
    session: nameOf(names, session),
    generation: kind === 'granted' ? event.generation : 0,
  }
  const most = Math.max(1, Math.floor((bytesMax - EVENT_BYTES) / RANGE_BYTES))
  for (let at = 0; at < runs.length; at += most) {
    const part = runs.slice(at, at + most)
    const ranges = part.map(({ first, count }) => ({ first, last: first + count - 1 }))
    const size = EVENT_BYTES + part.length * RANGE_BYTES
    yield { event: { numbers: { ...numbers, ranges } }, size }
  }
}

function scopeOf(state: State, namespace: NamespaceId) {
  if (namespace === HOST_NAMESPACE) return { scope: scopeProto('HOST'), device: '' }
  const { name } = state.device((namespace - 1) as DeviceId)
  return { scope: scopeProto('DEVICE'), device: deviceName(name) }
}

function* bindingEvent(names: WatchNames, { before, after }: BindingChanged): Generator<Sized> {
  const binding = after ?? before
  if (binding === undefined) return
  const view = bindingView(names.state, binding)
  const session = nameOf(names, binding.session)
  const removed = after === undefined
  const event = { binding: { session, binding: bindingProto(view), removed } }
  yield { event, size: EVENT_BYTES + bindingSize(view) }
}

/** An attachment is there once the backend has made it. */
function* attachmentEvent(names: WatchNames, event: AttachmentChanged): Generator<Sized> {
  if (event.after === 'ATTACHING') return
  const session = nameOf(names, event.session)
  const device = deviceName(names.state.device(event.device).name)
  const attached = event.after === 'ATTACHED'
  yield { event: { attachment: { session, device, attached } }, size: EVENT_BYTES }
}
