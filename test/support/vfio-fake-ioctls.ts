/** The bytes of the fake kernel's calls: structures in and out of the books, by request number. */

import {
  DESTROY,
  FAULT_QUEUE_ALLOC,
  GET_HW_INFO,
  HWPT_ALLOC,
  HWPT_INVALIDATE,
} from '../../src/uapi/iommufd.js'
import {
  HW_INFO_VTD,
  HWPT_PAGE_RESPONSE,
  HWPT_PGFAULT,
  HWPT_VTD_S1,
  VTD_S1_INVALIDATE,
} from '../../src/uapi/iommufd-data.js'
import { decode, encode, type Field, type Structure } from '../../src/uapi/structure.js'
import { ATTACH_IOMMUFD_PT, BIND_IOMMUFD, DETACH_IOMMUFD_PT } from '../../src/uapi/vfio-cdev.js'
import { E, RID, type FakeContext, type FakeDevice, type FakeQueue } from './vfio-fake-books.js'

/** struct file. */
export type FakeFile =
  | { readonly kind: 'iommufd'; readonly context: FakeContext }
  | { readonly kind: 'cdev'; readonly device: FakeDevice; isBound: boolean }
  | { readonly kind: 'fault'; readonly queue: FakeQueue }

/** What calls need of descriptors. */
export interface FakeFds {
  fileOf(number: number): FakeFile | undefined
  open(file: FakeFile): { release(): number }
}

/** CM, FL1GP, FL5LP; DT, PASID, PRS, SRS, EAFS, NEST, SMTS, SLTS, FLTS, PSS 19. */
export const FAKE_CAP = (1n << 7n) | (1n << 56n) | (1n << 60n)
export const FAKE_ECAP =
  [2n, 26n, 29n, 31n, 34n, 40n, 43n, 46n, 47n].reduce((bits, bit) => bits | (1n << bit), 0n) |
  (19n << 35n)

export function makeIoctl(
  fds: FakeFds,
  file: FakeFile,
  request: number,
  bytes: Uint8Array,
  data: Uint8Array,
): number {
  if (file.kind === 'iommufd') return onIommufd(fds, file.context, request, bytes, data)
  if (file.kind === 'cdev') return onCdev(fds, file, request, bytes)
  return -E.ENOTTY
}

function put(bytes: Uint8Array, structure: Structure, name: string, value: number | bigint): void {
  const field: Field | undefined = structure.fields[name]
  if (field === undefined) throw new Error(`no field ${name}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (field.kind === 'u8') view.setUint8(field.at, Number(value))
  else if (field.kind === 'u64') view.setBigUint64(field.at, BigInt(value), true)
  else view.setUint32(field.at, Number(value), true)
}

function onIommufd(
  fds: FakeFds,
  context: FakeContext,
  request: number,
  bytes: Uint8Array,
  data: Uint8Array,
): number {
  switch (request) {
    case DESTROY.request:
      return context.destroy(decode(DESTROY.structure, bytes).id)
    case GET_HW_INFO.request:
      return hwInfo(context, bytes, data)
    case HWPT_ALLOC.request:
      return hwptAlloc(context, bytes, data)
    case HWPT_INVALIDATE.request:
      return invalidate(context, bytes, data)
    case FAULT_QUEUE_ALLOC.request: {
      const queue = context.faultAlloc()
      put(bytes, FAULT_QUEUE_ALLOC.structure, 'outFaultId', queue.id)
      const fd = fds.open({ kind: 'fault', queue }).release()
      put(bytes, FAULT_QUEUE_ALLOC.structure, 'outFaultFd', fd)
      return 0
    }
    default:
      return -E.ENOTTY
  }
}

function hwInfo(context: FakeContext, bytes: Uint8Array, data: Uint8Array): number {
  const ask = decode(GET_HW_INFO.structure, bytes)
  const idev = context.objects.get(ask.devId)
  if (idev?.kind !== 'DEVICE') return -E.ENOENT
  data.fill(0)
  data.set(encode(HW_INFO_VTD, { capReg: FAKE_CAP, ecapReg: FAKE_ECAP }).subarray(0, data.length))
  put(bytes, GET_HW_INFO.structure, 'dataLen', HW_INFO_VTD.bytes)
  put(bytes, GET_HW_INFO.structure, 'outDataType', 1)
  put(bytes, GET_HW_INFO.structure, 'outMaxPasidLog2', idev.device.maxPasidLog2)
  return 0
}

function hwptAlloc(context: FakeContext, bytes: Uint8Array, data: Uint8Array): number {
  const ask = decode(HWPT_ALLOC.structure, bytes)
  if (ask.dataLen !== data.length) throw new Error('data_len is not what the pointer points to')
  const {
    flags,
    pgtblAddr: address,
    addrWidth: width,
  } = data.length === 0 ? { flags: 0n, pgtblAddr: 0n, addrWidth: 0 } : decode(HWPT_VTD_S1, data)
  const table = data.length === 0 ? undefined : { flags, address, width }
  const { devId, ptId, dataType, faultId } = ask
  const code = context.hwptAlloc({ flags: ask.flags, devId, ptId, dataType, table, faultId })
  if (code < 0) return code
  put(bytes, HWPT_ALLOC.structure, 'outHwptId', code)
  return 0
}

/** iommufd_hwpt_invalidate, intel_nested_cache_invalidate_user. */
function invalidate(context: FakeContext, bytes: Uint8Array, data: Uint8Array): number {
  const ask = decode(HWPT_INVALIDATE.structure, bytes)
  const hwpt = context.objects.get(ask.hwptId)
  let done = 0
  const answer = (code: number): number => {
    put(bytes, HWPT_INVALIDATE.structure, 'entryNum', done)
    return code
  }
  if (hwpt === undefined) return answer(-E.ENOENT)
  if (hwpt.kind !== 'HWPT' || hwpt.table === undefined) return answer(-E.EINVAL)
  if (ask.dataType !== 0 || ask.entryLen !== VTD_S1_INVALIDATE.bytes) return answer(-E.EINVAL)
  for (; done < ask.entryNum; done += 1) {
    const entry = decode(VTD_S1_INVALIDATE, data, done * VTD_S1_INVALIDATE.bytes)
    if ((entry.flags & ~1) !== 0) return answer(-E.EOPNOTSUPP)
    const isWhole = entry.npages === 2n ** 64n - 1n
    if (entry.addr % 4096n !== 0n || (isWhole && entry.addr !== 0n)) return answer(-E.EINVAL)
    const isSane = isWhole || (entry.npages > 0n && entry.addr + entry.npages * 4096n <= 2n ** 64n)
    if (!isSane) throw new Error('an invalidation that the kernel would not check')
    hwpt.invalidated.push({ address: entry.addr, pages: entry.npages, flags: entry.flags })
  }
  return answer(0)
}

function onCdev(
  fds: FakeFds,
  file: Extract<FakeFile, { kind: 'cdev' }>,
  request: number,
  bytes: Uint8Array,
): number {
  const { device } = file
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = view.getUint32(4, true)
  if (request === BIND_IOMMUFD.request) {
    const iommufd = fds.fileOf(view.getInt32(8, true))
    if (iommufd === undefined) return -E.EBADF
    if (iommufd.kind !== 'iommufd') return -E.EBADFD
    const code = device.bind(iommufd.context)
    if (code < 0) return code
    file.isBound = true
    view.setUint32(12, code, true)
    return 0
  }
  if (!file.isBound) return -E.EINVAL
  if (request === ATTACH_IOMMUFD_PT.request) {
    const pasid = flags === 1 ? view.getUint32(12, true) : RID
    if (flags === 1 && pasid === 0) throw new Error('PASID 0 would have been taken for the RID')
    return device.attach(view.getUint32(8, true), pasid)
  }
  if (request === DETACH_IOMMUFD_PT.request) {
    const pasid = flags === 1 ? view.getUint32(8, true) : RID
    if (flags === 1 && pasid === 0) throw new Error('PASID 0 would have been taken for the RID')
    return device.detach(pasid)
  }
  return -E.ENOTTY
}

/** Whole groups only. */
export function readFaults(queue: FakeQueue, bytes: number): Uint8Array {
  const records: Uint8Array[] = []
  let length = 0
  for (;;) {
    const [fault] = queue.deliver
    if (fault === undefined || length + fault.pages * HWPT_PGFAULT.bytes > bytes) break
    queue.deliver.shift()
    let cookie = 0
    while (queue.response.has(cookie)) cookie += 1
    fault.cookie = cookie
    queue.response.set(cookie, fault)
    for (let i = 0; i < fault.pages; i += 1) {
      const hasPasid = fault.pasid === RID ? 0 : 1
      records.push(
        encode(HWPT_PGFAULT, {
          flags: hasPasid | (i === fault.pages - 1 ? 2 : 0),
          devId: fault.device.bound?.idev.id ?? 0,
          pasid: fault.pasid,
          grpid: fault.group,
          perm: 1,
          addr: 0x1000n + BigInt(i) * 4096n,
          cookie,
        }),
      )
      length += HWPT_PGFAULT.bytes
    }
  }
  return Buffer.concat(records)
}

/** How many bytes were taken, or minus errno. */
export function writeAnswers(queue: FakeQueue, bytes: Uint8Array): number {
  let done = 0
  for (; done < bytes.length; done += HWPT_PAGE_RESPONSE.bytes) {
    const { cookie, code } = decode(HWPT_PAGE_RESPONSE, bytes, done)
    const fault = queue.response.get(cookie)
    if (fault === undefined || code > 1) return done === 0 ? -E.EINVAL : done
    queue.response.delete(cookie)
    queue.answered.push({ fault, code })
  }
  return done
}
