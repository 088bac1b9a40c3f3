/**
 * What one tenant may have under way and how often it may call, so that a flood of one leaves the
 * others alone. A call over its rate waits for its token; one that would wait too long waits as
 * well before it is refused, since a refusal costs the daemon about as much as an answer: a flood
 * is slowed by that, and bounded by the calls under way. Holds: memory is for those who call, or
 * did a moment ago.
 */

import type { Caller } from '../broker/caller.js'
import type { Clock } from '../broker/ports.js'
import type { Outcome, Refusal } from '../core/refusal.js'
import { Bucket, type Rate } from './bucket.js'
import { CallsInFlight } from './calls-in-flight.js'
import type { ServiceLimits } from './limits.js'

type MeterLimits = Pick<
  ServiceLimits,
  | 'tenantCallsInFlight'
  | 'callsPerSecond'
  | 'callsBurst'
  | 'commandsPerSecond'
  | 'commandsBurst'
  | 'rateWaitMs'
>

/** Whom a call is counted for. */
export function meterKey(identity: Outcome<Caller>): string {
  if (identity.ok) {
    const { tenant, delegateFor, process } = identity.value
    if (tenant !== undefined) return `tenants/${tenant}`
    return delegateFor.size > 0 ? `delegate:${process.uid}` : `uid:${process.uid}`
  }
  const { refusal } = identity
  return 'uid' in refusal ? `uid:${refusal.uid}` : 'nobody'
}

/** A call that asks to run. Exactly one of `run` and `refuse` is called, unless it has gone. */
interface MeteredCall {
  /** `left` is called once, when the call has ended. */
  run(left: () => void): void
  refuse(refusal: Refusal): void
  /** Nobody waits for the answer any more. */
  gone(): boolean
}

export class Meter {
  readonly calls: CallsInFlight
  /** Streams and calls that count here; not dropped while there are any. */
  holders = 0
  readonly #limits: MeterLimits
  readonly #buckets = new Map<string, Bucket>()

  constructor(
    readonly key: string,
    limits: MeterLimits,
  ) {
    this.#limits = limits
    this.calls = new CallsInFlight(limits.tenantCallsInFlight)
  }

  /** Of the unary calls of one method, and of its streams. */
  callBucket(method: string): Bucket {
    const { callsPerSecond: perSecond, callsBurst: burst } = this.#limits
    return this.#buckets.get(method) ?? this.#add(method, { perSecond, burst })
  }

  /** Of one command, on all Control streams together. */
  commandBucket(method: string): Bucket {
    const { commandsPerSecond: perSecond, commandsBurst: burst } = this.#limits
    return this.#buckets.get(method) ?? this.#add(method, { perSecond, burst })
  }

  #add(method: string, rate: Rate): Bucket {
    const bucket = new Bucket(rate)
    this.#buckets.set(method, bucket)
    return bucket
  }

  isIdle(now: number): boolean {
    if (this.holders > 0 || this.calls.count > 0) return false
    for (const bucket of this.#buckets.values()) if (!bucket.isFull(now)) return false
    return true
  }

  overloaded(): Refusal {
    const { limit } = this.calls
    return { code: 'OVERLOADED', limit, what: `calls of ${this.key} under way` }
  }
}

/** Meters looked through for idle ones when there are so many, and then at each doubling. */
const SWEEP_COUNT_MIN = 64

export class Meters {
  readonly #limits: MeterLimits
  readonly #clock: Clock
  readonly #meters = new Map<string, Meter>()
  #sweepAt = SWEEP_COUNT_MIN

  constructor(limits: MeterLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  get count(): number {
    return this.#meters.size
  }

  /** The one meter of the key, until it is released. */
  hold(key: string): Meter {
    let meter = this.#meters.get(key)
    if (meter === undefined) {
      if (this.#meters.size >= this.#sweepAt) this.#sweep()
      meter = new Meter(key, this.#limits)
      this.#meters.set(key, meter)
    }
    meter.holders += 1
    return meter
  }

  release(meter: Meter): void {
    meter.holders -= 1
  }

  #sweep(): void {
    const now = this.#clock.instant()
    for (const [key, meter] of this.#meters) if (meter.isIdle(now)) this.#meters.delete(key)
    this.#sweepAt = Math.max(SWEEP_COUNT_MIN, 2 * this.#meters.size)
  }

  /** Lets a call run now, when its token is there, or never. */
  admit(key: string, method: string, call: MeteredCall): void {
    const meter = this.hold(key)
    if (!meter.calls.enter()) {
      this.release(meter)
      call.refuse(meter.overloaded())
      return
    }
    const left = (): void => {
      meter.calls.leave()
      this.release(meter)
    }
    const bucket = meter.callBucket(method)
    const now = this.#clock.instant()
    const { rateWaitMs } = this.#limits
    const late = bucket.waitMs(now) > rateWaitMs
    const waitMs = late ? rateWaitMs : bucket.take(now)
    if (waitMs === 0 && !late) {
      call.run(left)
      return
    }
    this.#clock.after(waitMs, () => {
      if (!late && !call.gone()) {
        call.run(left)
        return
      }
      left()
      if (!call.gone()) call.refuse(this.#rateLimited(meter, method, bucket))
    })
  }

  #rateLimited({ key }: Meter, method: string, bucket: Bucket): Refusal {
    const retryMs = Math.max(1, Math.ceil(bucket.waitMs(this.#clock.instant())))
    return { code: 'RATE_LIMITED', tenant: key, method, limit: bucket.perSecond, retryMs }
  }
}
