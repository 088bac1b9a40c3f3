/**
 * The virtual machine: QEMU, always by emulation (TCG), with an Intel IOMMU that says what the
 * tests need, and devices behind it. Holds: it ends with this process; what it says is in a file.
 */
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../../scripts/setup/child.mjs'
import { at, ROOT } from '../../../scripts/setup/paths.mjs'
import { Unavailable } from '../packages.mjs'
import { initramfs } from './initramfs.mjs'
import { problemsOf } from './verdict.mjs'

const QEMU = 'qemu-system-x86_64'
const BUSYBOX = '/bin/busybox'
const MEMORY_MB = 2048
const CPUS = 2
const READY_POLL_MS = 50
/**
 * What the IOMMU claims beside what QEMU says of it, scalable mode and PASIDs (a test-only boot
 * parameter of the image): nested translation (ECAP bit 26), PASIDs of 20 bits (39:35 = 19), dirty
 * flags in the second stage (45) and coherent page walks (48).
 */
const ECAP_CLAIMED = '0x1209804000000'
/**
 * Interrupt remapping, without which VFIO gives no device away, and a driver that sees every entry.
 */
const IOMMU = 'intremap=on,caching-mode=on,x-scalable-mode=on,aw-bits=48'
/** The option for PASIDs, by the ages of QEMU. */
const PASID_MODES = ['x-pasid-mode', 'pasid']
/**
 * The clock is one that does not have to be measured first: on a busy host that goes wrong, and the
 * emulated timer is taken for a broken one.
 */
const CLOCK = 'no_timer_check tsc=unstable clocksource=hpet'

/**
 * `edu` devices: one alone, and two functions of one slot, which nothing keeps apart: they are one
 * IOMMU group, each with an RID of its own. (Behind a bridge they would share the bridge's, for
 * which Linux writes no entry in scalable mode.)
 */
const DEVICES = [
  'addr=0x10',
  'addr=0x11.0,multifunction=on',
  'addr=0x11.1,multifunction=on',
].flatMap((place) => ['-device', `edu,${place}`])

/** The host's folder that Node is in, when that is not /usr, which the guest has anyway. */
function nodeHome() {
  const node = fs.realpathSync(process.execPath)
  return node.startsWith('/usr/') ? undefined : path.dirname(path.dirname(node))
}

/** @throws Unavailable */
async function pasidModeOption() {
  const { output } = await run(QEMU, ['-device', 'intel-iommu,help'])
  const mode = PASID_MODES.find((name) => new RegExp(`^\\s*${name}=`, 'm').test(output))
  if (mode !== undefined) return mode
  throw new Unavailable('the QEMU that is installed emulates no IOMMU with PASIDs')
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

/** The guest's first files; `environment` is what its tests get to see of ours. */
function firstFiles(environment) {
  const settings = {
    CHECKOUT: ROOT,
    NODE: fs.realpathSync(process.execPath),
    NODE_HOME: nodeHome() ?? '',
  }
  // Without TZ, Node looks for the zone among all the files of /usr/share/zoneinfo.
  const usual = { HOME: '/root', TERM: 'dumb', TMPDIR: '/tmp', TZ: 'UTC', NODE_ENV: 'test' }
  const exported = { ...usual, ...environment }
  const lines = [
    ...Object.entries(settings).map(([name, value]) => `${name}=${quoted(value)}`),
    ...Object.entries(exported).map(([name, value]) => `export ${name}=${quoted(value)}`),
  ]
  const folders = ['bin', 'dev', 'etc', 'out', 'proc', 'root', 'run', 'sys', 'tmp', 'usr', 'var']
  return [
    ...folders.map((name) => ({ name, mode: 'folder' })),
    { name: 'bin/busybox', mode: 'program', data: fs.readFileSync(BUSYBOX) },
    ...['lib', 'lib64', 'sbin'].map((name) => ({ name, mode: 'link', data: `usr/${name}` })),
    { name: 'var/tmp', mode: 'link', data: '/tmp' },
    { name: 'init', mode: 'program', data: fs.readFileSync(at('test/kernel/vm/init.sh')) },
    { name: 'guest.env', mode: 'file', data: `${lines.join('\n')}\n` },
    {
      name: 'etc/passwd',
      mode: 'file',
      data: 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:\n',
    },
    { name: 'etc/group', mode: 'file', data: 'root:x:0:\nnogroup:x:65534:\n' },
  ]
}

function shared(tag, folder, writable = false) {
  const options = [
    'local',
    `path=${folder.replaceAll(',', ',,')}`,
    `mount_tag=${tag}`,
    'security_model=none',
  ]
  if (!writable) options.push('readonly=on')
  return ['-virtfs', [...options, 'multidevs=remap'].join(',')]
}

function commandLine({ image, folder, pasidMode }) {
  const inside = (name) => path.join(folder, name)
  const home = nodeHome()
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', String(CPUS)],
    ...['-machine', 'q35,kernel-irqchip=split', '-m', String(MEMORY_MB)],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-serial', `file:${inside('console')}`],
    ...['-qmp', `unix:${inside('qmp')},server=on,wait=off`],
    ...['-device', `intel-iommu,${IOMMU},${pasidMode}=on`],
    ...['-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=tests,path=${inside('tests')},server=on,wait=off`],
    ...['-device', 'virtserialport,nr=1,chardev=tests,name=tests'],
    // The machine may look at itself, and unplug what is in it: QMP on a port of its own.
    ...['-qmp', `unix:${inside('qmp-inside')},server=on,wait=off`],
    ...['-chardev', `socket,id=inside,path=${inside('qmp-inside')}`],
    ...['-device', 'virtserialport,nr=2,chardev=inside,name=qmp'],
    ...shared('usr', '/usr'),
    ...shared('checkout', ROOT),
    ...shared('out', inside('out'), true),
    ...(home === undefined ? [] : shared('node', home)),
    ...DEVICES,
    ...['-kernel', image, '-initrd', inside('initramfs')],
    '-append',
    `console=ttyS0 loglevel=5 panic=-1 ${CLOCK} lab_fake_pasid lab_ecap_or=${ECAP_CLAIMED}`,
  ]
}

/** Tells QEMU to end; when nobody listens any more, it has. */
function quit(socket) {
  return new Promise((resolve) => {
    const connection = net.connect(socket)
    connection.on('error', resolve)
    connection.on('close', resolve)
    connection.resume()
    connection.end('{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n')
  })
}

/**
 * Starts it; resolves when the worker in it is ready, or it has ended. `folder` is empty and its
 * own. Answers with whether it is ready, the socket to the worker, and `end(graceMs)`: waits for
 * the machine, which ends when the worker does, but no longer than that, and answers what was wrong
 * with it, and what it said.
 */
export async function startMachine({ image, folder, environment, timeoutMs }) {
  const pasidMode = await pasidModeOption()
  fs.mkdirSync(path.join(folder, 'out'))
  fs.writeFileSync(path.join(folder, 'initramfs'), initramfs(firstFiles(environment)))
  const done = run(QEMU, commandLine({ image, folder, pasidMode }), { timeoutMs })
  let ended = false
  void done.then(() => {
    ended = true
  })
  const isReady = () => fs.existsSync(path.join(folder, 'out/ready'))
  while (!isReady() && !ended) await sleep(READY_POLL_MS)
  const end = async (graceMs) => {
    const late = setTimeout(() => void quit(path.join(folder, 'qmp')), graceMs)
    const { code, timedOut, output } = await done.finally(() => clearTimeout(late))
    const console = read(path.join(folder, 'console'))
    const exitCode = read(path.join(folder, 'out/exit-code')).trim()
    return { problems: problemsOf({ code, timedOut, output, console, exitCode }), console }
  }
  return { isReady: isReady(), socket: path.join(folder, 'tests'), end }
}

function read(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
}
