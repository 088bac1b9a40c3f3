/** SubmitDescriptors: the unit's own invalidation queue, in the hardware's numbers. */

import type { LabSubmitted } from '../../backend/lab.js'
import { INVALIDATE_ENTRIES_MAX } from '../../core/limits.js'
import type { Outcome } from '../../core/refusal.js'
import type { LabRequest, LabResponse } from '../../wire/messages.js'
import { Fields } from '../convert/fields.js'
import { checkDescriptors } from '../convert/raw-invalidation.js'

export interface SubmitAsked {
  readonly bytes: Uint8Array
  readonly count: number
  readonly wide: boolean
  readonly clearError: boolean
}

export function submitOf(message: LabRequest<'SubmitDescriptors'>): Outcome<SubmitAsked> {
  const fields = new Fields()
  const { descriptors: bytes, wide, clearError } = message
  const count = checkDescriptors(fields, 'descriptors', { bytes, wide })
  if (bytes.length === 0) {
    fields.missing('descriptors', `1 to ${INVALIDATE_ENTRIES_MAX} descriptors`)
  }
  return fields.answer({ bytes, count, wide, clearError })
}

export function submittedProto(submitted: LabSubmitted): LabResponse<'SubmitDescriptors'> {
  const { done, problem = '', interrupts } = submitted
  const statusWrites = submitted.statusWrites.map(({ address, data }) => {
    return { address: address.toString(), data }
  })
  return { done, problem, statusWrites, interrupts }
}

/** For the audit. */
export function submittedText({ count, clearError }: SubmitAsked, submitted: LabSubmitted): string {
  const { done, problem } = submitted
  const cleared = clearError ? 'error cleared, ' : ''
  const stands = problem === undefined ? '' : `; stands at: ${problem}`
  return `SubmitDescriptors: ${cleared}${done} of ${count} done${stands}`
}
