import type { StackName } from '../../model/device-profile.ts'
import type { Stack } from './facts.ts'
import { espBundle, mbedtls2, mbedtls3 } from './mbedtls.ts'
import { openssl } from './openssl.ts'
import { wolfssl } from './wolfssl.ts'

/** The stacks whose own rules are known. */
export const STACKS: Readonly<Record<StackName, Stack>> = {
  'mbedtls-2': mbedtls2,
  'mbedtls-3': mbedtls3,
  'esp-bundle': espBundle,
  wolfssl,
  openssl,
}
