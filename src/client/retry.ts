/**
 * When and how soon a call is made again. Only after UNAVAILABLE, and only if that is safe: the
 * broker said no (so nothing happened), or doing it twice is the same as once.
 */

import type { PasidError } from './error.js'

export interface RetryPolicy {
  /** Tries of one call, the first included; 1 = never again. */
  readonly attempts: number
  /** Wait before the second try; doubles from then on. */
  readonly firstMs: number
  readonly mostMs: number
}

export const RETRY_DEFAULT: RetryPolicy = { attempts: 5, firstMs: 50, mostMs: 2000 }

export function mayRetry(error: PasidError, repeatable: boolean): boolean {
  if (error.codeName !== 'UNAVAILABLE') return false
  return repeatable || !error.isConnectionLost
}

/** Full jitter between half and the whole of the step; never sooner than the broker asked for. */
export function waitMs(policy: RetryPolicy, attempt: number, error: PasidError): number {
  const step = Math.min(policy.mostMs, policy.firstMs * 2 ** (attempt - 1))
  return Math.max(error.retryMs ?? 0, step / 2 + (Math.random() * step) / 2)
}
