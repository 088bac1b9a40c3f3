/**
 * The guest's first root file system: a cpio archive in the "newc" form
 * (Documentation/driver-api/early-userspace/buffer-format.rst), written here, so that it takes no
 * tool. It holds a static busybox, /init, and what /init is told.
 */

const MODE = { folder: 0o040755, program: 0o100755, file: 0o100644, link: 0o120777 }
const TRAILER = 'TRAILER!!!'
/** Fields after the magic: each is 8 hexadecimal digits. */
const ALIGN = 4

function padded(bytes) {
  const rest = bytes.length % ALIGN
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(ALIGN - rest)])
}

function entry(inode, { name, mode, data }) {
  const nameBytes = Buffer.from(`${name}\0`)
  const fields = [
    ...[inode, mode, 0, 0, 1, 0],
    data.length,
    ...[0, 0, 0, 0], // devices
    nameBytes.length,
    0, // no checksum in this form
  ]
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
  return [padded(Buffer.concat([Buffer.from(header), nameBytes])), padded(data)]
}

/**
 * The archive. `files` are { name, mode: a key of MODE, data?: Buffer or string }; a link's data is
 * where it points. Folders come before what is in them.
 */
export function initramfs(files) {
  const entries = [...files, { name: TRAILER, mode: 'file' }].map(({ name, mode, data = '' }) => {
    return { name, mode: name === TRAILER ? 0 : MODE[mode], data: Buffer.from(data) }
  })
  return Buffer.concat(entries.flatMap((one, index) => entry(index + 1, one)))
}
