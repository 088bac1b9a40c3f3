/**
 * Teardown that must happen: bindings taken down, numbers to rest, devices let go, sessions ended.
 * The first attempt is waited for; what a fault leaves over is tried again, item by item and with a
 * growing pause, until it is done. Recovery begins the same way with what it finds half done.
 */

import { BackendFault, type Place } from '../backend/backend.js'
import type { Binding } from '../core/binding.js'
import type { Freeing } from '../core/decide/free.js'
import type { Event } from '../core/events.js'
import type { DeviceId, InstantMs, SessionId, WallMs } from '../core/ids.js'
import { completions } from '../core/machine.js'
import type { StuckView } from './answers.js'
import type { Context } from './context.js'
import { laneOfDevice, tick } from './context.js'
import type { Departures } from './departures.js'
import { Turns } from './turns.js'

export const TEARDOWN_RETRY_MS_MIN = 20
export const TEARDOWN_RETRY_MS_MAX = 5000

const LEAVING =
  'its devices are still being let go: a call to the kernel has not come back (see the log)'

export interface TeardownJob {
  readonly session: SessionId
  readonly bindings: readonly Binding[]
  readonly pending: Freeing['pending']
  /** Devices to let go when nothing of the session is bound on them. */
  readonly devices: readonly DeviceId[]
  /** Whether the session ends with it. */
  readonly closing: boolean
}

/** How it goes with a job that is not done. */
interface Progress {
  readonly began: InstantMs
  readonly beganWall: WallMs
  attempts: number
  /** The newest fault. */
  problem: string
  /** Whether it was told that the job is stuck. */
  told: boolean
  /** Whether the session's devices are being let go, which nothing bounds. */
  leaving: boolean
}

export class Teardown {
  readonly #jobs = new Map<TeardownJob, Progress>()
  #stopped = false
  readonly #cancels = new Set<() => void>()

  /** A job that keeps failing for `stuckAfterMs` is stuck. */
  constructor(
    readonly context: Context,
    readonly stuckAfterMs: number,
    readonly departures: Departures,
  ) {}

  /** Jobs that are not done. */
  get unfinished(): number {
    return this.#jobs.size
  }

  /** By session, the longest stuck of its jobs. */
  stuck(): ReadonlyMap<SessionId, StuckView> {
    const found = new Map<SessionId, StuckView>()
    const now = this.context.ports.clock.instant()
    for (const [{ session }, progress] of this.#jobs) {
      if (!this.#isStuck(progress, now) || found.has(session)) continue
      const { beganWall: sinceWall, attempts, problem } = progress
      found.set(session, { sinceWall, attempts, problem })
    }
    return found
  }

  #isStuck({ began, attempts, leaving }: Progress, now: InstantMs): boolean {
    return (attempts > 1 || leaving) && now - began >= this.stuckAfterMs
  }

  #add(job: TeardownJob): void {
    const { clock } = this.context.ports
    const [began, beganWall] = [clock.instant(), clock.wall()]
    this.#jobs.set(job, { began, beganWall, attempts: 0, problem: '', told: false, leaving: false })
  }

  /** Resolves after the first attempt; true when nothing was left over. */
  async begin(job: TeardownJob): Promise<boolean> {
    this.#add(job)
    return this.#attempt(job, TEARDOWN_RETRY_MS_MIN)
  }

  /** Whether a job that is being tried again will let the session's device go. */
  detaches(session: SessionId, device: DeviceId): boolean {
    for (const job of this.#jobs.keys()) {
      if (job.session === session && job.devices.includes(device)) return true
    }
    return false
  }

  /** Whether a job that is being tried again will take the binding down. */
  #hasBinding(binding: Binding): boolean {
    for (const job of this.#jobs.keys()) {
      if (job.session === binding.session && job.bindings.includes(binding)) return true
    }
    return false
  }

  /** As begin(), with the first attempt after a pause: one has just failed. */
  later(job: TeardownJob): void {
    const bindings = job.bindings.filter((binding) => !this.#hasBinding(binding))
    if (this.#stopped || bindings.length === 0) return
    const own = { ...job, bindings }
    this.#add(own)
    this.#later(own, TEARDOWN_RETRY_MS_MIN)
  }

  stop(): void {
    this.#stopped = true
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }

  async #attempt(job: TeardownJob, retryMs: number): Promise<boolean> {
    const progress = this.#jobs.get(job)
    if (progress !== undefined) progress.attempts += 1
    const leaving = job.closing ? this.departures.gone(job.session) : undefined
    if (leaving !== undefined) await this.#leave(job, leaving)
    const byDevice = new Map<DeviceId, Binding[]>()
    for (const id of job.devices) byDevice.set(id, [])
    for (const binding of job.bindings) {
      const members = byDevice.get(binding.device) ?? []
      members.push(binding)
      byDevice.set(binding.device, members)
    }
    const { lanes, state } = this.context
    const results = await Promise.all(
      [...byDevice].map(([device, bindings]) => {
        const lane = laneOfDevice(this.context, job.session, state.device(device))
        return lanes.run([lane], () => this.#device(job, device, bindings))
      }),
    )
    // What is clear goes to rest, whatever else of the job is not.
    this.#rest(job)
    const clear = results.every((done) => done) && this.#finish(job)
    if (clear) {
      this.#jobs.delete(job)
      this.departures.given(job.session, job.pending)
    } else if (!this.#stopped) {
      this.#tellIfStuck(job)
      this.#later(job, retryMs)
    }
    return clear
  }

  /** Waits for the devices to be let go; what takes too long is told meanwhile. */
  async #leave(job: TeardownJob, leaving: Promise<void>): Promise<void> {
    const progress = this.#jobs.get(job)
    if (progress === undefined) return leaving
    const { clock } = this.context.ports
    progress.leaving = true
    progress.problem = LEAVING
    const cancel = clock.after(this.stuckAfterMs, () => {
      this.#cancels.delete(cancel)
      this.#tellIfStuck(job)
    })
    this.#cancels.add(cancel)
    await leaving
    this.#cancels.delete(cancel)
    cancel()
    progress.leaving = false
    progress.problem = ''
  }

  #tellIfStuck(job: TeardownJob): void {
    const { state, ports } = this.context
    const progress = this.#jobs.get(job)
    if (progress === undefined || progress.told) return
    if (!this.#isStuck(progress, ports.clock.instant())) return
    progress.told = true
    const session = state.sessions.get(job.session)?.record.name ?? ''
    ports.telemetry.stuck({ session, attempts: progress.attempts, problem: progress.problem })
  }

  /** A fault of the job's: what operators see of it. */
  #fault(job: TeardownJob, device: string, operation: string, fault: BackendFault): void {
    report(this.context, device, operation, fault)
    const progress = this.#jobs.get(job)
    if (progress !== undefined) progress.problem = `${operation} on ${device}: ${fault.message}`
  }

  #later(job: TeardownJob, retryMs: number): void {
    const { clock, telemetry } = this.context.ports
    const cancel = clock.after(retryMs, () => {
      this.#cancels.delete(cancel)
      const next = Math.min(retryMs * 2, TEARDOWN_RETRY_MS_MAX)
      this.#attempt(job, next).catch((error: unknown) => telemetry.bug(error))
    })
    this.#cancels.add(cancel)
  }

  /** One device's part, on its lane: every binding on its own, then the device itself. */
  async #device(job: TeardownJob, id: DeviceId, bindings: readonly Binding[]): Promise<boolean> {
    const { context } = this
    const left = await takeDown(context, this.departures, bindings, (device, fault) => {
      this.#fault(job, device, 'unbind', fault)
    })
    if (left.length > 0) return false
    if (!job.devices.includes(id)) return true
    // A repeated detach was first, and the owner may have attached anew since: that one stays.
    const standing = context.state.sessions.get(job.session)?.attachments.get(id)?.state
    if (standing !== 'DETACHING') return true
    const device = context.state.device(id)
    const { handOvers } = context.backend
    const isUnheld = handOvers !== undefined && !handOvers.holds(device.name, job.session)
    try {
      if (device.facts !== undefined) await context.backend.detachDevice(device.name, job.session)
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      this.#fault(job, device.name, 'detach', fault)
      return false
    }
    if (isUnheld && !job.closing) this.departures.detachedUnheld(job.session, device.name)
    const gone = completions.completeDetach(context.state, { session: job.session, device: id })
    if (gone.length > 0) context.queue.submit(gone)
    return true
  }

  #rest(job: TeardownJob): void {
    const { context } = this
    const now = tick(context)
    const rest = completions.completeFree(context.state, job.session, job.pending, now.instant)
    if (rest.length > 0) context.queue.submit(rest)
  }

  /** The session's end; false when that has to wait. */
  #finish(job: TeardownJob): boolean {
    const { context } = this
    if (!job.closing) return true
    const session = context.state.sessions.get(job.session)
    if (session === undefined) return true
    // A batch of unknown fate may bring back numbers of this session: not before it is known.
    if (!context.queue.certain) return this.#waits(job, 'the fate of a failed commit is not known')
    const end = completions.completeClose(context.state, job.session)
    if (end.length > 0) {
      context.feed.ends(session.record)
      context.queue.submit(end)
    }
    // Nothing is bound or attached any more, so nothing walks it.
    const { bindings: bound, attachments: attached } = session
    if (bound.size === 0 && attached.size === 0) context.backend.guestMemory?.drop(job.session)
    if (!context.state.sessions.has(job.session)) {
      this.departures.forget(job.session)
      return true
    }
    const { record, bindings, attachments } = session
    // Nothing is left to take down: its numbers wait for an operator or a proof, not for this.
    const waits = record.withheld || record.unproven
    if (waits && bindings.size === 0 && attachments.size === 0) return true
    return this.#goOn(job)
  }

  #waits(job: TeardownJob, problem: string): false {
    const progress = this.#jobs.get(job)
    if (progress !== undefined) progress.problem = problem
    return false
  }

  /** Something came to a closing session after the job was made: it is taken up as well. */
  #goOn({ session }: TeardownJob): boolean {
    const next = this.resumed(session)
    if (next === undefined) return false
    this.begin(next).catch((error: unknown) => this.context.ports.telemetry.bug(error))
    return true
  }

  /** What its numbers waited for is over: they rest, and the end of a session that ends goes on. */
  async resume(id: SessionId): Promise<void> {
    const job = this.resumed(id)
    if (job !== undefined) await this.begin(job)
    else this.departures.release(id)
  }

  /** What is left of a closing session, decided; to begin(). */
  resumed(id: SessionId): TeardownJob | undefined {
    const { context } = this
    const session = context.state.sessions.get(id)
    // One that lingers goes on to.
    if (session?.record.state !== 'CLOSING') return undefined
    const decided = completions.resumeClosing(context.state, session, tick(context).instant)
    if (decided.kind !== 'accepted') return undefined
    if (decided.events.length > 0) context.queue.submit(decided.events)
    const { teardown: bindings, pending, devices } = decided.answer
    return { session: id, bindings, pending, devices, closing: true }
  }
}

/** Takes bindings down one by one on a lane already held; answers those that could not be. */
export async function takeDown(
  context: Context,
  departures: Departures,
  bindings: readonly Binding[],
  onFault: (device: string, fault: BackendFault) => void,
): Promise<readonly Binding[]> {
  const left: Binding[] = []
  const done: Binding[] = []
  const outOfReach: Binding[] = []
  const turns = new Turns()
  for (const binding of bindings) {
    const device = context.state.device(binding.device)
    const now = context.state.bindingAt(binding.device, binding.target)
    // Another job was first, and the owner may have bound anew since: that one stays.
    if (now?.state !== 'UNBINDING' && now?.state !== 'LOST') continue
    if (now.session !== binding.session || now.generation !== binding.generation) continue
    const isOutOfReach = departures.isOutOfReach(binding)
    try {
      // Without facts the backend has no such device: nothing of it can be in force.
      if (device.facts !== undefined) await context.backend.unbind(placeOf(context, binding))
      done.push(binding)
      if (isOutOfReach) outOfReach.push(binding)
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      onFault(device.name, fault)
      left.push(binding)
    }
    const turn = turns.next()
    if (turn !== undefined) await turn
  }
  const gone: Event[] = completions.completeUnbind(context.state, done)
  for (const binding of outOfReach) gone.push(...departures.doubt(binding))
  if (gone.length > 0) context.queue.submit(gone)
  return left
}

export function placeOf(context: Context, binding: Binding): Place {
  const { session, target } = binding
  return { device: context.state.device(binding.device).name, target, session }
}

export function report(
  context: Context,
  device: string,
  operation: string,
  fault: BackendFault,
): void {
  const { message } = fault
  context.ports.telemetry.backendFault({ device, operation, message })
}
