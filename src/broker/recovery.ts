/**
 * Start: what the ledger holds becomes the state; tenants and devices that are new get their
 * numbers; half-done work is taken up; backend and ledger are made to agree. Only then does the
 * broker serve.
 */

import {
  BackendFault,
  type Backend,
  type Observed,
  type ObservedPlace,
  type Place,
} from '../backend/backend.js'
import type { Lab } from '../backend/lab.js'
import { assert } from '../core/assert.js'
import { sameTable, type Binding } from '../core/binding.js'
import type { Scope } from '../core/device.js'
import type { Event } from '../core/events.js'
import { deviceId, RID, tenantId } from '../core/ids.js'
import type { Image } from '../core/image.js'
import { problemsOf } from '../core/invariants.js'
import { completions } from '../core/machine.js'
import { SLOT } from '../core/namespace.js'
import { restore, type DescribedDevice } from '../core/restore.js'
import type { Policy, State } from '../core/state.js'
import type { Ledger } from '../ledger/ledger.js'
import type { FeedLimits } from './change-feed.js'
import type { Context } from './context.js'
import { tick } from './context.js'
import type { PageRequestPolicy } from './page-requests.js'
import { pendingOf } from './pending.js'
import type { Ports } from './ports.js'
import { bindKept, outlived, settleAll } from './recovery-hand-overs.js'
import type { ReclaimPaths, ReclaimPolicy } from './reaper.js'
import { placeOf, report, type Teardown, type TeardownJob } from './teardown.js'
import { tellLost } from './verbs/bindings.js'

/** The configuration and the ledger contradict each other: the operator must say which is meant. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused'
}

export interface StartOptions {
  readonly ledger: Ledger
  readonly backend: Backend
  /** What the backend can do beside, where it is an emulator. */
  readonly lab?: Lab | undefined
  readonly policy: Policy
  /** Scope by device name; a device not named is in HOST scope. */
  readonly scopes: ReadonlyMap<string, Scope>
  readonly bootId: string
  readonly reclaim: ReclaimPolicy
  /** For tests; absent = all. */
  readonly paths?: ReclaimPaths | undefined
  readonly watch: FeedLimits
  readonly pageRequests: PageRequestPolicy
  readonly ports: Ports
}

/** The state at the newest durable revision, with every configured tenant and device numbered. */
export async function loadState(options: StartOptions): Promise<State> {
  const { ledger, backend, policy, scopes, bootId, ports } = options
  const { facts } = ledger
  if (facts.revision > 0 && facts.bootId !== bootId) {
    const pasids = await ledger.archive('reboot', bootId)
    const nobody = { session: '', sessions: 0, ageMs: 0, ownerPid: undefined }
    ports.telemetry.reclaimed({ ...nobody, cause: 'REBOOT', pasids })
  }
  let image = await ledger.load()
  const events = registrations(image, policy, backend)
  if (events.length > 0) {
    await ledger.append([{ revision: image.revision + 1, events }])
    image = await ledger.load()
  }
  const devices = new Map<string, DescribedDevice>()
  for (const device of backend.devices()) {
    devices.set(device.name, { facts: device, scope: scopes.get(device.name) ?? 'HOST' })
  }
  refuseScopeChange(image, devices)
  const state = restore(image, policy, devices, ports.clock.instant())
  const problems = problemsOf(state)
  assert(problems.length === 0, `the ledger's state holds together: ${problems.join('; ')}`)
  return state
}

function registrations(image: Image, policy: Policy, backend: Backend): Event[] {
  const events: Event[] = []
  const tenants = new Set(image.tenants.map(({ name }) => name))
  let nextTenant = image.tenants.reduce((next, { id }) => Math.max(next, id + 1), 0)
  for (const { name } of policy.tenants) {
    if (tenants.has(name)) continue
    events.push({ kind: 'tenant-registered', id: tenantId(nextTenant), name })
    nextTenant += 1
  }
  const devices = new Set(image.devices.map(({ name }) => name))
  let nextDevice = image.devices.reduce((next, { id }) => Math.max(next, id + 1), 0)
  for (const { name } of backend.devices()) {
    if (devices.has(name)) continue
    events.push({ kind: 'device-registered', id: deviceId(nextDevice), name })
    nextDevice += 1
  }
  return events
}

/** Numbers held in one scope cannot be moved to the other by editing a file. */
function refuseScopeChange(image: Image, devices: ReadonlyMap<string, DescribedDevice>): void {
  const attached = new Set(image.attachments.map(({ device }) => device as number))
  const own = new Map<number, number>()
  const { count, namespace, slot } = image.allocations
  for (let i = 0; i < count; i += 1) {
    const device = (namespace[i] ?? 0) - 1
    if (device >= 0 && slot[i] !== SLOT.QUARANTINED) own.set(device, (own.get(device) ?? 0) + 1)
  }
  // A binding of RID holds no number of either scope.
  const numbered = image.bindings.filter(({ target }) => target !== RID)
  const bound = new Set(numbered.map(({ device }) => device as number))
  for (const { id, name } of image.devices) {
    const scope = devices.get(name)?.scope
    const numbers = own.get(id) ?? 0
    if (scope === 'HOST' && numbers > 0) {
      throw new StartRefused(
        `device ${name} is configured in HOST scope, but ${numbers} numbers of its DEVICE scope ` +
          `are held: close their sessions first, or set its scope back to DEVICE`,
      )
    }
    if (scope === 'DEVICE' && numbers === 0 && attached.has(id) && bound.has(id)) {
      throw new StartRefused(
        `device ${name} is configured in DEVICE scope, but HOST-scope numbers are bound on it: ` +
          `close their sessions first, or set its scope back to HOST`,
      )
    }
  }
}

/** Takes up what was half done and makes the backend agree; the broker does not serve before. */
export async function recover(context: Context, teardown: Teardown): Promise<void> {
  await recoverAttachments(context)
  await recoverBindings(context, teardown)
  await Promise.all(halfDone(context).map((job) => teardown.begin(job)))
  await context.queue.flush()
}

async function recoverAttachments(context: Context): Promise<void> {
  const { state, backend, queue } = context
  for (const session of [...state.sessions.values()]) {
    for (const [device, attachment] of [...session.attachments]) {
      if (attachment.state === 'DETACHING') continue
      const { id } = session.record
      const known = state.device(device)
      let attached = outlived(context, id, known)
      try {
        // What was handed over has been taken up before.
        if (attached && backend.handOvers === undefined) await backend.attachDevice(known.name, id)
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        report(context, known.name, 'attach', fault)
        attached = false
      }
      const done = completions.completeAttach(state, { session: id, device }, attached)
      if (done.length > 0) queue.submit(done)
    }
  }
}

/** Recorded bindings are put in force again, or LOST; what nobody recorded is taken down. */
async function recoverBindings(context: Context, teardown: Teardown): Promise<void> {
  const { state } = context
  const observed = await observe(context)
  const standing = new Map<number, ObservedPlace>()
  if (observed.kind === 'KNOWN') {
    for (const place of observed.places) {
      const device = state.deviceByName.get(place.device)
      const binding = device && state.bindingAt(device.id, place.target)
      if (device !== undefined && binding?.session === place.session) {
        standing.set(device.id * 2 ** 20 + place.target, place)
      } else {
        await takeDownUnrecorded(context, place)
      }
    }
  }
  const recorded = [...state.bindings].filter(([, { state: at }]) => {
    return at === 'BOUND' || at === 'BINDING'
  })
  // All of them first: in an IOMMU group a table goes when the last device has let go of it.
  for (const [key, { table }] of recorded) {
    const place = standing.get(key)
    if (place === undefined || sameTable(place.table, table)) continue
    if (await takeDownUnrecorded(context, place)) standing.delete(key)
  }
  const { handOvers } = context.backend
  const unbindable = handOvers && (await settleAll(context, handOvers))
  for (const [key, binding] of recorded) {
    const stop = unbindable?.(binding)
    await recoverBinding(context, binding, standing.get(key), stop)
    const device = state.device(binding.device)
    const now = state.bindingAt(binding.device, binding.target)
    if (now?.state !== 'LOST' || handOvers?.holds(device.name, now.session) !== true) continue
    // Whatever is attached there, it is nothing that the record stands for.
    const job = { session: now.session, bindings: [now], pending: [], devices: [], closing: false }
    teardown.later(job)
  }
}

async function observe(context: Context): Promise<Observed> {
  try {
    return await context.backend.observe()
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, '', 'observe', fault)
    return { kind: 'UNKNOWN', reason: fault.message }
  }
}

/** What cannot be taken down stays, and `Check` finds it: one bad device does not stop a start. */
async function takeDownUnrecorded(context: Context, place: Place): Promise<boolean> {
  try {
    await context.backend.unbind(place)
    return true
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, place.device, 'unbind', fault)
    return false
  }
}

/** A bind or replace that was under way is finished: its table is the newest that was asked for. */
async function recoverBinding(
  context: Context,
  binding: Binding,
  standing: ObservedPlace | undefined,
  /** Why it cannot be in force. */
  stop: string | undefined,
): Promise<void> {
  const { state, backend, queue } = context
  const device = state.device(binding.device)
  const isKnown = device.facts !== undefined
  let cause = (isKnown ? stop : undefined) ?? `device ${device.name} is not known to the backend`
  let bound = false
  try {
    if (isKnown && stop === undefined) {
      if (backend.handOvers !== undefined) await bindKept(context, binding)
      else await bindAgain(context, binding, standing)
      bound = true
    }
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, device.name, 'bind', fault)
    cause = fault.message
  }
  if (bound && binding.state === 'BOUND') return
  if (bound) {
    const after: Binding = { ...binding, previous: undefined, state: 'BOUND' }
    queue.submit([{ kind: 'binding-changed', before: binding, after }])
    return
  }
  queue.submit([completions.loseBinding(binding, cause)])
  const lost = state.bindingAt(binding.device, binding.target)
  if (lost !== undefined) tellLost(context, lost)
}

async function bindAgain(
  context: Context,
  binding: Binding,
  standing: ObservedPlace | undefined,
): Promise<void> {
  if (standing !== undefined && sameTable(standing.table, binding.table)) return
  const { backend } = context
  const place = placeOf(context, binding)
  if (standing !== undefined) await backend.unbind(place)
  await backend.bind({ ...place, table: binding.table, domain: binding.domain })
}

/** One job a session with something on its way out. */
function halfDone(context: Context): TeardownJob[] {
  const { state } = context
  const jobs: TeardownJob[] = []
  const now = tick(context)
  for (const session of state.sessions.values()) {
    const { id } = session.record
    if (session.record.state === 'CLOSING') {
      const closing = completions.resumeClosing(state, session, now.instant)
      if (closing.kind !== 'accepted') continue
      if (closing.events.length > 0) context.queue.submit(closing.events)
      const { teardown: bindings, devices } = closing.answer
      const pending = pendingOf(state, id)
      jobs.push({ session: id, bindings, pending, devices, closing: true })
      continue
    }
    const bindings: Binding[] = []
    for (const key of session.bindings) {
      const binding = state.bindings.get(key)
      if (binding?.state === 'UNBINDING') bindings.push(binding)
    }
    const devices = [...session.attachments]
      .filter(([, attachment]) => attachment.state === 'DETACHING')
      .map(([device]) => device)
    const pending = pendingOf(state, id)
    if (bindings.length + devices.length + pending.length === 0) continue
    jobs.push({ session: id, bindings, pending, devices, closing: false })
  }
  return jobs
}
