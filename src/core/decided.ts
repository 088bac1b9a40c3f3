/** What `decide` answers: events to apply, a refusal, or that something must be durable first. */

import type { Event } from './events.js'
import type { Refusal } from './refusal.js'

export type Decided<Answer> =
  | {
      readonly kind: 'accepted'
      readonly events: readonly Event[]
      readonly answer: Answer
      /** The change that this answer repeats: it must be durable before the answer leaves. */
      readonly repeats: number
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** The command builds on a change that is still on its way to the disk: ask again after it. */
  | { readonly kind: 'wait'; readonly revision: number }

export function accepted<Answer>(events: readonly Event[], answer: Answer): Decided<Answer> {
  return { kind: 'accepted', events, answer, repeats: 0 }
}

/** The answer to a request id seen before: nothing happens again. */
export function repeated<Answer>(revision: number, answer: Answer): Decided<Answer> {
  return { kind: 'accepted', events: [], answer, repeats: revision }
}

export function refused(refusal: Refusal): { readonly kind: 'refused'; readonly refusal: Refusal } {
  return { kind: 'refused', refusal }
}

export function waitFor(revision: number): { readonly kind: 'wait'; readonly revision: number } {
  return { kind: 'wait', revision }
}
