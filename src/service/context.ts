/** What all services of one daemon share, made once by the daemon. */

import { randomBytes } from 'node:crypto'
import type { Broker } from '../broker/broker.js'
import type { Chance, Clock } from '../broker/ports.js'
import { assert } from '../core/assert.js'
import type { RefusalCode } from '../core/refusal.js'
import { incidentFacts, type INTERNAL_REASON, type Reply } from '../wire/reply.js'
import { CallsInFlight } from './calls-in-flight.js'
import type { GuestFiles } from './guest-files.js'
import type { HandOverTokens } from './hand-over-tokens.js'
import type { ServiceLimits } from './limits.js'
import { Meters } from './meters.js'
import type { OwnerTokens } from './owner-tokens.js'
import { PageTokens } from './page-tokens.js'
import { Streams } from './streams.js'
import { TokenMaker } from './tokens.js'
import { ContainerKinds } from './vfio/container.js'

/** How a call ended, as metrics count it. */
export type Reason = RefusalCode | typeof INTERNAL_REASON | 'OK'

/** What the daemon logs and measures of calls. Must not throw. */
export interface ServiceObserver {
  /** `method` as in `PasidBroker/AllocatePasids`, or `Control/AllocatePasids` on a stream. */
  called(method: string, reason: Reason, tookMs: number): void
  /** A call failed by a bug or a fault; the caller was told INTERNAL and the incident's id. */
  incident(facts: { readonly id: string; readonly method: string; readonly error: unknown }): void
}

export interface ServiceOptions {
  readonly broker: Broker
  readonly chance: Chance
  readonly clock: Clock
  /** Processes that delegates have handed over as owners. */
  readonly ownerTokens: OwnerTokens
  readonly guestFiles: GuestFiles
  readonly handOverTokens: HandOverTokens
  readonly limits: ServiceLimits
  readonly observer: ServiceObserver
  /** Release of the daemon. */
  readonly version: string
  /** 32 secret bytes, the same for the ledger's life: session and page tokens are made with it. */
  readonly tokenKey: Uint8Array
}

export interface ServiceContext extends ServiceOptions {
  readonly calls: CallsInFlight
  /** Shared by the VMM sockets; undefined for operators, who are not limited by rate. */
  readonly meters: Meters | undefined
  readonly tokens: TokenMaker
  readonly pageTokens: PageTokens
  readonly streams: Streams
  /** Of sessions that were opened as containers of the 2020 ioctls. */
  readonly containers: ContainerKinds
  /** Logs what was thrown and answers what the caller may know of it. */
  incident(method: string, error: unknown): Reply
}

export function serviceContext(options: ServiceOptions): ServiceContext {
  assert(options.tokenKey.length === 32, 'the token key has 32 bytes')
  return {
    ...options,
    calls: new CallsInFlight(options.limits.callsInFlight),
    meters: new Meters(options.limits, options.clock),
    tokens: new TokenMaker(options.tokenKey, options.chance),
    pageTokens: new PageTokens(options.tokenKey),
    streams: new Streams(),
    containers: new ContainerKinds(),
    incident(method, error) {
      const id = randomBytes(6).toString('hex')
      options.observer.incident({ id, method, error })
      return incidentFacts(id)
    },
  }
}

/** The context for one more socket: its calls under way leave room for those of the others. */
export function ofSocket(context: ServiceContext): ServiceContext {
  return { ...context, calls: new CallsInFlight(context.limits.callsInFlight) }
}
