import { assertKnownKeys } from '../config/validate-keys.js'
import { addon, unwrapJson } from '../native.js'

/** A device as it was asked for and as it was found. */
export interface DeviceInfo {
  /** What was asked for. */
  requested: string
  /** What it means here: `cpu`, `cuda:0` or `metal`. */
  resolved: string
  /** One line about it. */
  description: string
}

/** One check of a self-test. */
export interface Check {
  /** What was checked. */
  name: string
  /** Whether it is right. */
  ok: boolean
  /** What was found. */
  detail: string
}

/** What {@link doctor} found. */
export interface DoctorReport {
  /** Whether every check is right. */
  ok: boolean
  /** The native binary. */
  addon: {
    /** Its version. */
    version: string
    /** Cargo features that it was built with. */
    features: string[]
    /** Platform that it was built for. */
    target: string
  }
  /** Version of Node.js. */
  node: string
  /** The device. */
  device: DeviceInfo
  /** Threads used by default. */
  threads: number
  /** Instruction sets of the CPU that matter for speed. */
  cpuFeatures: string[]
  /** The checks of the self-test. */
  checks: Check[]
}

/** Options of {@link doctor}. */
export interface DoctorOptions {
  /**
   * Device to look at and to run the self-test on.
   *
   * @default 'auto'
   */
  device?: string
}

/**
 * Looks at the installation and runs a self-test of a few seconds.
 *
 * @throws {@link AmdimError} `AMDIM_ADDON` when there is no binary for this platform, `AMDIM_DEVICE` when the device is
 *   not there
 * @example
 * ```ts
 * import { doctor } from 'amdim';
 *
 * const { ok, device, checks } = await doctor();
 * console.log(ok, device.description, checks.filter((check) => !check.ok));
 * ```
 */
export async function doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
  assertKnownKeys(options, ['device'], 'doctor')
  const [{ validate }, { doctorSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/run-schema.js'),
  ])
  const { device } = validate(doctorSchema, options)
  const native = addon()
  const { version, features, target, cpuFeatures, threads } = JSON.parse(native.addonInfo()) as {
    version: string
    features: string[]
    target: string
    cpuFeatures: string[]
    threads: number
  }
  const found = unwrapJson<DeviceInfo>(native.checkDevice(device))
  const { ok, checks } = unwrapJson<{ ok: boolean; checks: Check[] }>(await native.selfTest(device))
  return {
    ok,
    addon: { version, features, target },
    node: process.version,
    device: found,
    threads,
    cpuFeatures,
    checks,
  }
}
