/**
 * Takes back what dead processes held. That an owner has ended is noticed in four ways, each of
 * which would do alone: the kernel's event, a sweep before serving, a sweep now and then, and one
 * before "exhausted" is answered. "Cannot tell" never takes anything back.
 */

import type { Now } from '../core/commands.js'
import type { Closing } from '../core/decide/session.js'
import type { Change } from '../core/events.js'
import type { SessionId } from '../core/ids.js'
import { completions } from '../core/machine.js'
import { sameProcess } from '../core/owner.js'
import type { Session, SessionRecord } from '../core/session.js'
import { audited, recordOf, type Audit } from './audit.js'
import { Breaker, type BreakerLimits } from './breaker.js'
import { make, tick, type Context, type Made } from './context.js'
import type { UnprovenPolicy } from './departures.js'
import type { WatchedOwner } from './ports.js'
import { ReclaimQueue, type Death, type Noticed } from './reclaim-queue.js'
import { tellReclaimed } from './reclaimed.js'
import { SweepPass, type LostOwner, type SweepStep } from './sweep-pass.js'
import type { Teardown } from './teardown.js'
import { endClosing, endedText } from './verbs/sessions.js'

export interface ReclaimPolicy extends BreakerLimits, UnprovenPolicy {
  readonly sweepIntervalMs: number
  /** A sweep ends after so long, or after so many owners; the next goes on from there. */
  readonly sweepBudgetMs: number
  readonly sweepSessions: number
  /** A teardown that keeps failing so long is shown as stuck. */
  readonly stuckAfterMs: number
}

/** Ways of noticing; all are on. Tests take some away to show that the others suffice. */
export interface ReclaimPaths {
  readonly events: boolean
  readonly startSweep: boolean
  readonly sweeps: boolean
  readonly beforeExhausted: boolean
}

export const ALL_PATHS: ReclaimPaths = {
  events: true,
  startSweep: true,
  sweeps: true,
  beforeExhausted: true,
}

/** A sweep before "exhausted" is made at most so often, whoever asks. */
export const EXHAUSTED_SWEEP_PAUSE_MS = 1000

interface LastSweep {
  looked: number
  tookMs: number
  unknown: number
  unfinished: number
  passAt: number | undefined
}

export class Reaper {
  readonly breaker: Breaker
  readonly last: LastSweep = { looked: 0, tookMs: 0, unknown: 0, unfinished: 0, passAt: undefined }
  readonly #context: Context
  readonly #teardown: Teardown
  readonly #policy: ReclaimPolicy
  readonly #paths: ReclaimPaths
  readonly #watched = new Map<SessionId, WatchedOwner>()
  readonly #lingering = new Map<SessionId, () => void>()
  readonly #deaths: ReclaimQueue
  #pass: SweepPass | undefined
  #sweeping: Promise<number> | undefined
  /** By the tenant whose limit refused; undefined: the host's. */
  readonly #sweptForRoom = new Map<string | undefined, number>()
  #cancelSweep: (() => void) | undefined
  #stopped = false

  constructor(
    context: Context,
    teardown: Teardown,
    policy: ReclaimPolicy,
    paths: ReclaimPaths = ALL_PATHS,
  ) {
    this.#context = context
    this.#teardown = teardown
    this.#policy = policy
    this.#paths = paths
    this.breaker = new Breaker(context, policy)
    this.#deaths = new ReclaimQueue(context, (death) => this.#carryOut(death))
  }

  get watchedOwners(): number {
    return this.#watched.size
  }

  // -- before serving ----------------------------------------------------------------------------

  /**
   * Sessions whose owners have ended meanwhile are decided to close, so that nothing of theirs is
   * put in force again; recovery takes them down with all that it finds half done.
   */
  async sweepAtStart(): Promise<void> {
    if (!this.#paths.startSweep) return
    const pass = new SweepPass(this.#context)
    while (!(await pass.advance(this.#policy.sweepSessions, Infinity))) continue
    this.#told(pass.takeStep(), true)
    const deaths = [...pass.takeProven().map(proven), ...this.#inferred(pass)]
    for (const death of deaths) this.#decide(death)
  }

  #decide(death: Death): void {
    const record = this.#context.state.sessions.get(death.session)?.record
    const decided = this.#lose(death, tick(this.#context))
    if (decided.kind !== 'accepted' || decided.events.length === 0) return
    this.#context.queue.submit(decided.events)
    const { closing } = decided.answer
    if (closing === undefined) return
    this.#teardown.departures.begin(death.session)
    this.#tell(record, death.noticed, closing.freed)
  }

  /** Serving begins: owners are watched, lingering sessions wait anew, sweeps come. */
  start(): void {
    for (const { record } of this.#context.state.sessions.values()) {
      if (record.state === 'LINGERING') this.#linger(record.id)
      if (record.state === 'OPEN') this.adopt(record.id)
    }
    if (this.#paths.sweeps) this.#sweepLater()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelSweep?.()
    this.#deaths.stop()
    for (const cancel of this.#lingering.values()) cancel()
    for (const watched of this.#watched.values()) watched.stop()
    this.#lingering.clear()
    this.#watched.clear()
  }

  // -- one session -------------------------------------------------------------------------------

  /** On disk now, whatever was answered: whoever became an owner is watched from here on. */
  heard(changes: readonly Change[]): void {
    for (const event of changes.flatMap(({ events }) => events)) {
      if (event.kind !== 'session-changed' || event.after?.state !== 'OPEN') continue
      const { id } = event.after
      // Not in the middle of the queue's own work: the owner may have ended already.
      Promise.resolve()
        .then(() => this.adopt(id))
        .catch((error: unknown) => this.#context.ports.telemetry.bug(error))
    }
  }

  /** The session has an owner, or another than before. */
  adopt(id: SessionId): void {
    const record = this.#context.state.sessions.get(id)?.record
    if (record?.state !== 'OPEN') return
    this.release(id)
    const { owner } = record
    if (owner === undefined || this.#stopped || !this.#paths.events) return
    const watched = this.#context.ports.owners.watch(owner, () => {
      this.#watched.get(id)?.stop()
      this.#watched.delete(id)
      this.#reclaim({ session: id, owner, noticed: 'EXIT' })
    })
    if (watched === 'UNWATCHED') return
    if (watched === 'GONE') this.#reclaim({ session: id, owner, noticed: 'SWEEP' })
    else this.#watched.set(id, watched)
  }

  /** Nobody waits for the owner's end any more: the session is closed, or handed over. */
  release(id: SessionId): void {
    this.#watched.get(id)?.stop()
    this.#watched.delete(id)
    this.#lingering.get(id)?.()
    this.#lingering.delete(id)
  }

  /** Whether the kernel says, now, that the owner of an open session has ended. */
  hasEnded(session: Session): boolean {
    const { id, owner } = session.record
    const watched = this.#watched.get(id)
    if (watched !== undefined) return watched.ended()
    return owner !== undefined && this.#context.ports.owners.probe(owner) === 'DEAD_PROVEN'
  }

  /** The owner has ended as hasEnded() says, and its event has not come yet. */
  async lose({ record: { id, owner } }: Session): Promise<void> {
    if (owner !== undefined) this.#reclaim({ session: id, owner, noticed: 'EXIT' })
    await this.#deaths.settled(id)
  }

  #lose({ session, owner, noticed }: Death, now: Now) {
    const context = this.#context
    const withhold = noticed === 'INFERRED' && this.breaker.open
    const verb = 'lose-owner' as const
    const unproven = this.#teardown.departures.wantProof
    const command = { verb, session, owner, cause: noticed, withhold, unproven }
    const decided = completions.loseOwner(context.state, command, now)
    return audited(context, decided, ({ closing }) => {
      const action = closing === undefined ? 'LINGER' : 'RECLAIM'
      return { action, actor: undefined, cause: noticed, ...endedText(context, session) }
    })
  }

  /** Queued. What a sweep found of a former owner is dropped. */
  #reclaim(death: Death): void {
    const { session, owner } = death
    const record = this.#context.state.sessions.get(session)?.record
    if (this.#stopped || record?.state !== 'OPEN' || record.owner === undefined) return
    if (!sameProcess(record.owner, owner)) return
    // Certain to end: its devices do not wait for others that have ended.
    if (record.lingerMs === 0) this.#teardown.departures.begin(session)
    this.#deaths.add(death)
  }

  async #carryOut(death: Death): Promise<void> {
    const context = this.#context
    const { session, noticed } = death
    const made = await make(context, (now) => this.#lose(death, now))
    // Closed meanwhile by another hand, or never durable: nothing is left to take back.
    if (!made.ok || made.value.change === undefined) return
    const { closing } = made.value.answer
    this.release(session)
    if (closing === undefined) return this.#linger(session)
    await this.#end(session, noticed, { ...made.value, answer: closing })
  }

  async #end(id: SessionId, cause: Noticed | 'LINGER', made: Made<Closing>): Promise<void> {
    const context = this.#context
    const record = context.state.sessions.get(id)?.record
    const ended = await endClosing(context, this.#teardown, id, made)
    this.#tell(record, cause, ended.ok ? ended.value.freed : 0)
    context.hub.publish(id, { kind: 'session-ended', cause: 'its owner has ended' })
  }

  /** Waits for a successor; whole again after a restart of the daemon. */
  #linger(id: SessionId): void {
    const { state, ports } = this.#context
    const session = state.sessions.get(id)
    if (session === undefined || this.#stopped) return
    this.#lingering.get(id)?.()
    const cancel = ports.clock.after(session.record.lingerMs, () => {
      this.#lingering.delete(id)
      this.#lingered(id).catch((error: unknown) => ports.telemetry.bug(error))
    })
    this.#lingering.set(id, cancel)
  }

  async #lingered(id: SessionId): Promise<void> {
    const context = this.#context
    const unproven = this.#teardown.departures.wantProof
    const lingers = context.state.sessions.get(id)?.record.state === 'LINGERING'
    // A successor's change may be on its way to the disk, and may not get there. Where devices are
    // to be let go, only such a change is waited for.
    if (!lingers || !unproven) await context.queue.settled(context.state.revision)
    const record = context.state.sessions.get(id)?.record
    if (record?.state !== 'LINGERING' || this.#lingering.has(id)) return
    const withhold = record.cause === 'INFERRED' && this.breaker.open
    const made = await make(context, (now) => {
      const ending = { session: id, withhold, unproven }
      return audited(context, completions.endLingering(context.state, ending, now), () => {
        return { action: 'RECLAIM', actor: undefined, cause: 'LINGER', ...endedText(context, id) }
      })
    })
    const closing = made.ok ? made.value.answer.closing : undefined
    if (!made.ok || closing === undefined) return
    await this.#end(id, 'LINGER', { ...made.value, answer: closing })
  }

  #tell(record: SessionRecord | undefined, cause: Noticed | 'LINGER', pasids: number): void {
    if (record !== undefined) tellReclaimed(this.#context, record, { cause, sessions: 1, pasids })
  }

  // -- sweeps ------------------------------------------------------------------------------------

  #sweepLater(): void {
    const { clock, telemetry } = this.#context.ports
    this.#cancelSweep = clock.after(this.#policy.sweepIntervalMs, () => {
      this.sweep()
        .then(() => {
          if (!this.#stopped) this.#sweepLater()
        })
        .catch((error: unknown) => telemetry.bug(error))
    })
  }

  /** Looks at owners for a bounded time; answers how many it found ended. */
  sweep(): Promise<number> {
    this.#sweeping ??= this.#sweepOnce().finally(() => {
      this.#sweeping = undefined
    })
    return this.#sweeping
  }

  async #sweepOnce(): Promise<number> {
    const { sweepSessions, sweepBudgetMs } = this.#policy
    const pass = (this.#pass ??= new SweepPass(this.#context))
    const whole = await pass.advance(sweepSessions, sweepBudgetMs)
    if (this.#stopped) return 0
    this.#told(pass.takeStep(), whole)
    const deaths = pass.takeProven().map(proven)
    if (whole) {
      this.#pass = undefined
      deaths.push(...this.#inferred(pass))
    }
    for (const death of deaths) this.#reclaim(death)
    return deaths.length
  }

  /**
   * Before "exhausted" is answered: dead owners may have what is asked for. True when it is worth
   * deciding again. What a tenant's own limit refuses only its own dead can give back: it has no
   * part in the sweep of all, which others may need.
   */
  async makeRoom(tenant: string | undefined): Promise<boolean> {
    if (!this.#paths.beforeExhausted || this.#stopped) return false
    const now = this.#context.ports.clock.instant()
    const before = this.#sweptForRoom.get(tenant) ?? Number.NEGATIVE_INFINITY
    if (now - before < EXHAUSTED_SWEEP_PAUSE_MS) return false
    this.#sweptForRoom.set(tenant, now)
    const found = await (tenant === undefined ? this.sweep() : this.#sweepOf(tenant))
    if (found > 0) await this.#deaths.idle(EXHAUSTED_SWEEP_PAUSE_MS)
    return found > 0
  }

  /** Of one tenant and those below it: what is certain. What is inferred waits for a whole pass. */
  async #sweepOf(tenant: string): Promise<number> {
    const { sweepSessions, sweepBudgetMs } = this.#policy
    const pass = new SweepPass(this.#context, tenant)
    await pass.advance(sweepSessions, sweepBudgetMs)
    const deaths = pass.takeProven().map(proven)
    for (const death of deaths) this.#reclaim(death)
    return deaths.length
  }

  /** The pass is over: what it inferred is reclaimed, held back if it is more than it may be. */
  #inferred(pass: SweepPass): Death[] {
    const { inferred, looked } = pass
    this.last.passAt = this.#context.ports.clock.wall()
    this.last.unknown = pass.unknown
    if (this.breaker.judge(inferred.length, looked)) {
      const details = `inferred the end of ${inferred.length} of ${looked} owners`
      const nobody = { actor: undefined, subject: '', cause: '' }
      const audit: Audit = { action: 'BREAKER_OPENED', ...nobody, details }
      const record = recordOf(this.#context, audit, 'DONE')
      this.#context.queue.submit([{ kind: 'audited', record }])
    }
    return inferred.map((lost) => ({ ...lost, noticed: 'INFERRED' }))
  }

  #told(step: SweepStep, whole: boolean): void {
    Object.assign(this.last, { looked: step.looked, tookMs: step.tookMs })
    this.last.unfinished = whole ? 0 : this.last.unfinished + 1
    this.#context.ports.telemetry.swept({ ...step, whole })
  }
}

function proven(lost: LostOwner): Death {
  return { ...lost, noticed: 'SWEEP' }
}
