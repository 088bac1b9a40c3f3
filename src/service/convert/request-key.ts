/** Request ids: a UUID and the arguments it was used with, as two hashes of 64 bits. */

import { createHash } from 'node:crypto'
import type { RequestKey } from '../../core/requests.js'
import { quoted } from '../../wire/quote.js'
import type { Fields } from './fields.js'

/** RFC 9562, text form, any version. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * The key of a request, none without an id. `command` is what was validated, made the same way
 * whatever the order of fields on the wire; session and request id are not part of it.
 */
export function requestKey(
  fields: Fields,
  requestId: string,
  command: object,
): RequestKey | undefined {
  if (requestId === '') return undefined
  if (!UUID.test(requestId)) {
    fields.no('request_id', quoted(requestId), 'a UUID', 'send a UUID in text form, or none')
    return undefined
  }
  if (!fields.ok) return undefined
  const text = requestId.toLowerCase()
  const id = createHash('sha256').update(text).digest()
  const fingerprint = createHash('sha256').update(JSON.stringify(command)).digest()
  return {
    text,
    idHigh: id.readUInt32BE(0),
    idLow: id.readUInt32BE(4),
    fingerprintHigh: fingerprint.readUInt32BE(0),
    fingerprintLow: fingerprint.readUInt32BE(4),
  }
}
