/** Bad input to InvalidateRaw: what is wrong with the message, before any structure is read. */
import { argument, type Case, type Expected, message, PASIDS, raw } from './service-bad-case.js'
import { packet } from './service-rig.js'

const RAW = 'PasidBroker/InvalidateRaw'
const S1 = { pasid: 300, device: 'devices/mdev0', entryLen: 24 }
const WAIT = Buffer.from([5, ...new Array<number>(15).fill(0)])
const ID = { sourceId: 8, device: 'devices/mdev0' }

function bad(name: string, more: object, expected: Expected): Case {
  return message(RAW, name, ({ own }) => ({ session: own.name, ...more }), expected)
}
const s1 = (more: object): object => ({ vtdS1: { ...S1, ...more } })
const queue = (more: object): object => ({ vtdDescriptors: { descriptors: WAIT, ...more } })

export const RAW_CASES: readonly Case[] = [
  bad('no form', {}, argument('form', 'nothing')),
  raw(
    RAW,
    'two forms',
    ({ own }) => ({ session: own.name, ...s1({}) }),
    packet.bytes(4, ''),
    argument('vtd_descriptors'),
  ),
  bad(
    'a structure too short for its fixed part',
    { cacheInvalidateInfo: Buffer.alloc(15) },
    argument('cache_invalidate_info', '15 bytes', '16 to 4096 bytes'),
  ),
  bad(
    'a structure beyond a page',
    { cacheInvalidateInfo: Buffer.alloc(4097) },
    argument('cache_invalidate_info', '4097 bytes'),
  ),
  bad('a table of no target', s1({ pasid: undefined }), argument('vtd_s1.target', 'nothing')),
  bad('a table of PASID 0', s1({ pasid: 0 }), argument('vtd_s1.pasid', '0', PASIDS)),
  bad(
    'a table of rid false',
    s1({ pasid: undefined, rid: false }),
    argument('vtd_s1.rid', 'false', 'true'),
  ),
  bad('a table of no device', s1({ device: '' }), argument('vtd_s1.device', 'nothing')),
  bad('a table of a wrong name', s1({ device: 'mdev0' }), argument('vtd_s1.device', '"mdev0"')),
  bad('513 entries', s1({ entryNum: 513 }), argument('vtd_s1.entry_num', '513 entries')),
  bad('a table that is not bound', s1({ pasid: 301 }), {
    code: 'NOT_FOUND',
    reason: 'NOT_BOUND',
    metadata: { target: '301' },
  }),
  bad('a table on a device that is not attached', s1({ device: 'devices/other0' }), {
    code: 'FAILED_PRECONDITION',
    reason: 'DEVICE_NOT_ATTACHED',
    metadata: { device: 'other0' },
  }),
  bad(
    'a part of a descriptor',
    queue({ descriptors: WAIT.subarray(1) }),
    argument('vtd_descriptors.descriptors', '15 bytes', 'whole descriptors of 16 bytes'),
  ),
  bad(
    'a part of a wide descriptor',
    queue({ wide: true }),
    argument('vtd_descriptors.descriptors', '16 bytes', 'whole descriptors of 32 bytes'),
  ),
  bad(
    '513 descriptors',
    queue({ descriptors: Buffer.concat(new Array<Buffer>(513).fill(WAIT)) }),
    argument('vtd_descriptors.descriptors', '513 descriptors'),
  ),
  bad(
    'a source id of 17 bits',
    queue({ sourceIds: [ID, { ...ID, sourceId: 65_536 }] }),
    argument('vtd_descriptors.source_ids[1].source_id', '65536'),
  ),
  bad(
    'a source id twice',
    queue({ sourceIds: [ID, ID] }),
    argument('vtd_descriptors.source_ids[1].source_id', '8 again'),
  ),
  bad(
    'a source id of no device',
    queue({ sourceIds: [{ sourceId: 1 }] }),
    argument('vtd_descriptors.source_ids[0].device', 'nothing'),
  ),
  bad(
    '65 source ids',
    queue({ sourceIds: Array.from({ length: 65 }, (_, sourceId) => ({ ...ID, sourceId })) }),
    argument('vtd_descriptors.source_ids', '65 devices'),
  ),
  bad(
    'a source id of a device that is not attached',
    queue({ sourceIds: [{ sourceId: 1, device: 'devices/other0' }] }),
    {
      code: 'FAILED_PRECONDITION',
      reason: 'DEVICE_NOT_ATTACHED',
    },
  ),
]
