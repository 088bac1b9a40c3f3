/**
 * Bytes of the structures that InvalidateRaw takes, and the call without a socket: what a VMM would
 * send, by fields.
 */

import type { Broker } from '../../src/broker/broker.js'
import type { SessionId } from '../../src/core/ids.js'
import { invalidateRaw } from '../../src/service/raw-invalidation.js'
import type { Outcome } from '../../src/core/refusal.js'
import type { VmmRequest, VmmResponse } from '../../src/wire/messages.js'

export type RawForm = Omit<VmmRequest<'InvalidateRaw'>, 'session'>
type Descriptors = NonNullable<RawForm['vtdDescriptors']>

export async function raw(
  broker: Broker,
  session: SessionId,
  form: RawForm,
): Promise<Outcome<VmmResponse<'InvalidateRaw'>>> {
  return invalidateRaw(broker, session, { session: '', ...form })
}

/** 256-bit descriptors by their lower words. */
export function queueBytes(...words: readonly (readonly [low: bigint, high: bigint])[]): Buffer {
  return Buffer.from(new BigUint64Array(words.flatMap(([low, high]) => [low, high, 0n, 0n])).buffer)
}

export function queue(
  descriptors: Buffer,
  sourceIds: Descriptors['sourceIds'] = [],
  wide = true,
): RawForm {
  return { form: 'vtdDescriptors', vtdDescriptors: { descriptors, wide, sourceIds } }
}

export interface S1Entry {
  readonly addr?: bigint
  readonly npages?: bigint
  readonly flags?: number
}

export function s1Bytes(...entries: readonly S1Entry[]): Buffer {
  const bytes = Buffer.alloc(24 * entries.length)
  for (const [i, { addr = 0n, npages = 1n, flags = 0 }] of entries.entries()) {
    bytes.writeBigUInt64LE(addr, 24 * i)
    bytes.writeBigUInt64LE(npages, 24 * i + 8)
    bytes.writeUInt32LE(flags, 24 * i + 16)
  }
  return bytes
}

export function table(
  device: string,
  target: number,
  entries: Buffer,
  more: { readonly dataType?: number; readonly entryNum?: number } = {},
): RawForm {
  const named = target === 0 ? ({ target: 'rid', rid: true } as const) : undefined
  const { dataType = 0, entryNum = entries.length / 24 } = more
  return {
    form: 'vtdS1',
    vtdS1: {
      ...(named ?? { target: 'pasid', pasid: target }),
      device: `devices/${device}`,
      dataType,
      entryLen: 24,
      entryNum,
      entries,
    },
  }
}

export interface Info {
  readonly cache?: number
  readonly granularity?: number
  readonly flags?: number
  readonly pasid?: number
  readonly addr?: bigint
  readonly granules?: bigint
}

/** struct iommu_cache_invalidate_info with granules of 4 KiB. */
export function info(asked: Info): Buffer {
  const bytes = Buffer.alloc(56)
  bytes.writeUInt32LE(56, 0)
  bytes.writeUInt32LE(1, 4)
  bytes.writeUInt8(asked.cache ?? 1, 8)
  bytes.writeUInt8(asked.granularity ?? 0, 9)
  bytes.writeUInt32LE(asked.flags ?? 0, 16)
  bytes.writeBigUInt64LE(BigInt(asked.pasid ?? 0), 24)
  bytes.writeBigUInt64LE(asked.addr ?? 0n, 32)
  bytes.writeBigUInt64LE(4096n, 40)
  bytes.writeBigUInt64LE(asked.granules ?? 1n, 48)
  return bytes
}

export function structure(bytes: Buffer): RawForm {
  return { form: 'cacheInvalidateInfo', cacheInvalidateInfo: bytes }
}
