/**
 * BindPasid and UnbindPasids. Both run on the lanes of their devices and answer when the backend
 * has done its part; the record follows in order, not waited for: a guest's CPU spins on them.
 */

import { BackendFault, type BindRequest } from '../../backend/backend.js'
import type { Binding } from '../../core/binding.js'
import type { BindPasid, UnbindPasids } from '../../core/commands.js'
import type { BindStep } from '../../core/decide/bind-group.js'
import type { BindEnd } from '../../core/decide/bind.js'
import type { Event } from '../../core/events.js'
import { completions, verbs } from '../../core/machine.js'
import { accept, type Outcome, type Refusal } from '../../core/refusal.js'
import { bindingView } from '../../core/view.js'
import type { BoundPasid, UnboundPasids } from '../answers.js'
import {
  cannotGrant,
  lanesOf,
  lanesOfNamed,
  make,
  no,
  refusalOf,
  type Context,
} from '../context.js'
import type { Lane } from '../lanes.js'
import { placeOf, report, takeDown, type Teardown } from '../teardown.js'

export function bind(
  context: Context,
  teardown: Teardown,
  command: BindPasid,
): Promise<Outcome<BoundPasid>> {
  const lanes = lanesOfNamed(context, command.session, command.devices)
  return context.lanes.run(lanes, () => bindOnLanes(context, teardown, command))
}

async function bindOnLanes(
  context: Context,
  teardown: Teardown,
  command: BindPasid,
): Promise<Outcome<BoundPasid>> {
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const made = await make(context, () => verbs.bind(context.state, command))
  if (!made.ok) return made
  const { steps } = made.value.answer
  const ends = new Map<BindStep, BindEnd>()
  const hwpts = new Map<string, number>()
  let refusal: Refusal | undefined
  for (const step of steps) {
    const fault = await takeStep(context, step, hwpts)
    if (fault === undefined) {
      ends.set(step, 'BOUND')
      continue
    }
    refusal = refusalOf(step.device.name, fault)
    if (fault.kind === 'STOP') loseGroup(context, steps, step, ends, fault)
    else ends.set(step, untouched(step))
    await compensate(context, steps, ends)
    break
  }
  const events: Event[] = []
  for (const step of steps) {
    events.push(...completions.completeBind(context.state, step, ends.get(step) ?? untouched(step)))
  }
  const change = events.length === 0 ? undefined : context.queue.submit(events)
  publishLost(context, teardown, steps, ends)
  if (refusal !== undefined) return no(context, refusal)
  for (const step of steps) {
    const now = context.state.bindingAt(step.device.id, step.after.target)
    if (now?.state === 'BOUND') continue
    // Freed, unbound or closed by another call meanwhile; its teardown is next on the lane.
    const { device, after } = step
    return no(context, { code: 'BIND_SUPERSEDED', device: device.name, target: after.target })
  }
  const revision = change?.revision ?? made.value.revision
  return accept({ revision, hwpts: hwptsOf(command, hwpts) })
}

/** Of the devices asked for, where the backend has one. */
function hwptsOf({ devices }: BindPasid, hwpts: ReadonlyMap<string, number>): BoundPasid['hwpts'] {
  return devices.flatMap((device) => {
    const hwpt = hwpts.get(device)
    return hwpt === undefined ? [] : [{ device, hwpt }]
  })
}

/** One device's part; undefined when the table is in force. */
async function takeStep(
  context: Context,
  step: BindStep,
  hwpts: Map<string, number>,
): Promise<BackendFault | undefined> {
  const { backend } = context
  const request = requestOf(context, step.after)
  try {
    const replaces = step.before?.state === 'BOUND'
    const hwpt = await (replaces ? backend.replace(request, step.before) : backend.bind(request))
    if (hwpt !== undefined) hwpts.set(step.device.name, hwpt)
    return undefined
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, step.device.name, 'bind', fault)
    return fault
  }
}

function requestOf(context: Context, binding: Binding): BindRequest {
  return { ...placeOf(context, binding), table: binding.table, domain: binding.domain }
}

/** What becomes of one device's entry becomes of its group's. */
function loseGroup(
  context: Context,
  steps: readonly BindStep[],
  failed: BindStep,
  ends: Map<BindStep, BindEnd>,
  fault: BackendFault,
): void {
  const group = new Set(context.state.groupOf(failed.device))
  for (const step of steps) {
    if (step === failed || (group.has(step.device) && step.before?.state === 'BOUND')) {
      ends.set(step, { lost: fault.message })
    }
  }
}

/** Where a step stands that the backend did not change. */
function untouched(step: BindStep): BindEnd {
  if (step.before?.state === 'BOUND') return 'RESTORED'
  if (step.before?.state === 'LOST') return { lost: step.before.cause }
  return 'GONE'
}

/** After a fault on one device the others get their old table back, or nothing; else it is LOST. */
async function compensate(
  context: Context,
  steps: readonly BindStep[],
  ends: Map<BindStep, BindEnd>,
): Promise<void> {
  for (const step of steps) {
    if (ends.get(step) !== 'BOUND') continue
    try {
      if (step.before?.state === 'BOUND') {
        const request = requestOf(context, { ...step.before, session: step.after.session })
        await context.backend.replace(request, step.after)
      } else {
        await context.backend.unbind(placeOf(context, step.after))
      }
      ends.set(step, untouched(step))
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      report(context, step.device.name, 'restore', fault)
      ends.set(step, { lost: fault.message })
    }
  }
}

function publishLost(
  context: Context,
  teardown: Teardown,
  steps: readonly BindStep[],
  ends: ReadonlyMap<BindStep, BindEnd>,
): void {
  for (const step of steps) {
    if (!ends.has(step) || step.before?.state === 'LOST') continue
    const binding = context.state.bindingAt(step.device.id, step.after.target)
    if (binding?.state !== 'LOST') continue
    tellLost(context, binding)
    // Whatever the backend has there now, it is nothing that the record stands for.
    const { session } = binding
    teardown.later({ session, bindings: [binding], pending: [], devices: [], closing: false })
  }
}

/** A binding is no more in force: its owner and the operators hear of it. */
export function tellLost(context: Context, binding: Binding): void {
  const view = bindingView(context.state, binding)
  const { target, cause } = binding
  context.ports.telemetry.bindingLost({ device: view.device, target, cause })
  context.hub.publish(binding.session, { kind: 'binding-lost', binding: view })
}

export function unbind(
  context: Context,
  teardown: Teardown,
  command: UnbindPasids,
): Promise<Outcome<UnboundPasids>> {
  return context.lanes.run(lanesReached(context, command), async () => {
    const made = await make(context, () => verbs.unbind(context.state, command))
    if (!made.ok) return made
    const bindings = made.value.answer.teardown
    let problem = ''
    const left = await takeDown(context, teardown.departures, bindings, (name, fault) => {
      report(context, name, 'unbind', fault)
      if (problem === '') problem = fault.message
    })
    const [stuck] = left
    const { revision } = context.state
    if (stuck === undefined) return accept({ unbound: bindings.length, revision })
    const job = { session: command.session, bindings: left, pending: [], devices: [] }
    teardown.later({ ...job, closing: false })
    const { device } = bindingView(context.state, stuck)
    return no(context, { code: 'BACKEND_UNAVAILABLE', device, problem, retryMs: 100 })
  })
}

/** What names its devices does not wait for others. */
function lanesReached(context: Context, { session, what }: UnbindPasids): Lane[] {
  if (what.kind === 'DEVICE') return lanesOfNamed(context, session, [what.device])
  if (what.kind === 'TARGET' && what.devices.length > 0) {
    return lanesOfNamed(context, session, what.devices)
  }
  return lanesOf(context, context.state.sessions.get(session))
}
