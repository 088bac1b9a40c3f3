/** What a row of the table of refusals is made of; the table is in status.ts. */

import type { status } from '@grpc/grpc-js'
import type { PasidRange } from '../core/range.js'
import type { Refusal, RefusalCode, RefusalOf } from '../core/refusal.js'
import type { StatusFacts } from './details.js'

export type Variables = Readonly<Record<string, string | number>>
/** Beside ErrorInfo; PreconditionFailure and RetryInfo follow from status and `retryMs`. */
type Details = Pick<StatusFacts, 'badField' | 'quota'>

export interface Row<Code extends RefusalCode> {
  readonly status: status
  message(refusal: RefusalOf<Code>): string
  /** ErrorInfo.metadata: every variable of the message. */
  metadata(refusal: RefusalOf<Code>): Variables
  readonly details?: (refusal: RefusalOf<Code>) => Details
}

export const rangeText = ({ first, last }: PasidRange): string => `${first}..${last}`
export const targetText = (target: number): string => (target === 0 ? 'RID' : `PASID ${target}`)
export const onDevice = (device: string): string => (device === '' ? '' : ` on devices/${device}`)
export const retryText = (ms: number): string => `retry in ${ms} ms`

/** Metadata of a refusal whose variables are its own fields, all of them text or numbers. */
export function plain(refusal: Refusal): Variables {
  const { code: _, ...variables } = refusal
  return variables as Variables
}

/** Rows of some of the codes. */
export type Rows<Code extends RefusalCode> = { readonly [One in Code]: Row<One> }
