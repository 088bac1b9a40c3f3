/**
 * What the RPC bench tells a client process to do, and what comes back: messages between processes.
 */

/** Which server. */
export type TargetName = 'echo' | 'pasidd'
export type Route = 'unary' | 'control'

/** What is called over and over. `bind` is a bind and an unbind in turn, each timed by itself. */
export type Call = 'allocate' | 'invalidate' | 'bind' | 'read'

export type Task =
  /** Opens a session with a device, a number to bind and one that is bound. */
  | { readonly kind: 'open'; readonly target: TargetName; readonly socket: string }
  /** So many calls, as fast as they go, with so many under way; by unary only allocations. */
  | {
      readonly kind: 'rate'
      readonly target: TargetName
      readonly call: 'allocate' | 'invalidate'
      readonly route: Route
      readonly calls: number
      readonly inFlight: number
      /** Allocations each with a request id of its own, as pasidd's client sends them. */
      readonly keyed: boolean
    }
  /** One after the other. */
  | {
      readonly kind: 'alone'
      readonly target: TargetName
      readonly route: Route
      readonly call: Call
      readonly calls: number
    }
  /** From now on and until `pause`, so many a second over Control, whatever else is asked for. */
  | {
      readonly kind: 'pace'
      readonly target: TargetName
      readonly call: 'allocate' | 'read'
      readonly perSecond: number
    }
  | { readonly kind: 'pause' }
  /** Gives back what the loads have allocated: outside of what is measured. */
  | { readonly kind: 'free'; readonly target: TargetName }
  /** One-row commits of a SQLite with the ledger's settings, one after the other. */
  | { readonly kind: 'sync'; readonly directory: string; readonly commits: number }

export interface Latency {
  readonly p50Us: number
  readonly p99Us: number
}

export interface Answers {
  open: undefined
  rate: { readonly perSecond: number }
  /** By call; `bind` has two. */
  alone: Readonly<Record<string, Latency>>
  pace: undefined
  /** How many calls were made since `pace`. */
  pause: { readonly calls: number }
  free: undefined
  sync: Latency
}

export type Asked = { readonly id: number; readonly task: Task }
export type Replied =
  | { readonly id: number; readonly ok: true; readonly answer: unknown }
  | { readonly id: number; readonly ok: false; readonly error: string }
