/** What every verb works with, and the one way to a decision. */

import type { Now } from '../core/commands.js'
import type { Decided } from '../core/decided.js'
import type { Change } from '../core/events.js'
import type { Device } from '../core/device.js'
import type { SessionId } from '../core/ids.js'
import { advance, forgetRequests } from '../core/machine.js'
import { accept, refuse, type Outcome, type Refusal } from '../core/refusal.js'
import type { Session } from '../core/session.js'
import type { State } from '../core/state.js'
import {
  HandOverRefused,
  NotHandedOver,
  type Backend,
  type BackendFault,
} from '../backend/backend.js'
import type { Lab } from '../backend/lab.js'
import type { ChangeFeed } from './change-feed.js'
import { QUEUE_CHANGES_MAX, REOPEN_MS_MAX, type CommitQueue } from './commit-queue.js'
import type { Hub } from './hub.js'
import { laneOf, type Lane, type Lanes } from './lanes.js'
import type { Ports } from './ports.js'

export interface Context {
  readonly state: State
  readonly queue: CommitQueue
  readonly backend: Backend
  /** Undefined: the backend has none. */
  readonly lab: Lab | undefined
  readonly lanes: Lanes
  readonly hub: Hub
  readonly feed: ChangeFeed
  readonly ports: Ports
}

export interface Made<Answer> {
  readonly answer: Answer
  /** Undefined: nothing changed. */
  readonly change: Change | undefined
  /** What must be durable before the answer leaves. */
  readonly revision: number
}

/** Lets time pass in the state and says what time it is. */
export function tick(context: Context): Now {
  const { clock } = context.ports
  const now = { instant: clock.instant(), wall: clock.wall() }
  advance(context.state, now.instant, context.queue.durable)
  forgetRequests(context.state, now.wall)
  return now
}

/** A command may wait for what it builds on to be durable this often, then it is refused. */
const WAITS_MAX = 8

/**
 * Decides on the working state and applies the decision. Waits only where the command builds on
 * something not yet durable; otherwise it has happened when this returns.
 */
export async function make<Answer>(
  context: Context,
  decide: (now: Now) => Decided<Answer>,
): Promise<Outcome<Made<Answer>>> {
  for (let waits = 0; waits < WAITS_MAX; waits += 1) {
    const decided = decide(tick(context))
    if (decided.kind === 'refused') return no(context, decided.refusal)
    if (decided.kind === 'accepted') {
      const { events, answer, repeats } = decided
      const change = events.length === 0 ? undefined : context.queue.submit(events)
      return accept({ answer, change, revision: change?.revision ?? repeats })
    }
    await context.queue.settled(decided.revision)
  }
  return no(context, unavailable())
}

export function no(
  context: Context,
  refusal: Refusal,
): { readonly ok: false; readonly refusal: Refusal } {
  context.ports.telemetry.refused(refusal.code)
  return refuse(refusal)
}

/** Undefined when something new may be granted. */
export function cannotGrant(context: Context): Refusal | undefined {
  if (!context.queue.writable) return unavailable()
  if (!context.queue.overloaded) return undefined
  return { code: 'OVERLOADED', limit: QUEUE_CHANGES_MAX, what: 'changes waiting for the disk' }
}

export function unavailable(): Refusal {
  return { code: 'LEDGER_UNAVAILABLE', retryMs: REOPEN_MS_MAX }
}

/** How soon a call that met a passing fault of the backend is worth repeating. */
const BACKEND_RETRY_MS = 100

export function refusalOf(device: string, fault: BackendFault): Refusal {
  if (fault instanceof NotHandedOver) return { code: 'DEVICE_NOT_HANDED_OVER', device }
  if (fault instanceof HandOverRefused) {
    return { code: 'HAND_OVER_REFUSED', device, problem: fault.message, remedy: fault.remedy }
  }
  if (fault.kind === 'REFUSE') return { code: 'BACKEND_REFUSED', device, problem: fault.message }
  const { message: problem } = fault
  return { code: 'BACKEND_UNAVAILABLE', device, problem, retryMs: BACKEND_RETRY_MS }
}

/** An effect on one device of an IOMMU group is one on all of them: they have one lane. */
export function laneOfDevice(context: Context, session: SessionId, device: Device): Lane {
  for (const first of context.state.groupOf(device)) return laneOf(session, first.id)
  return laneOf(session, device.id)
}

/** The lanes of all devices that a session has attached. */
export function lanesOf(context: Context, session: Session | undefined): Lane[] {
  if (session === undefined) return []
  const lanes: Lane[] = []
  for (const id of session.attachments.keys()) {
    lanes.push(laneOfDevice(context, session.record.id, context.state.device(id)))
  }
  return lanes
}

/** The lanes of the devices named; a name that is not attached has none (and will be refused). */
export function lanesOfNamed(
  context: Context,
  session: SessionId,
  devices: readonly string[],
): Lane[] {
  const lanes: Lane[] = []
  for (const name of devices) {
    const device = context.state.deviceByName.get(name)
    if (device !== undefined) lanes.push(laneOfDevice(context, session, device))
  }
  return lanes
}
