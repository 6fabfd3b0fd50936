import { createHttp } from './base/http.ts'
import type { Clock } from './base/time.ts'
import type { RemoteQuestion } from './config/remote.ts'

/**
 * Reads settings, or one secret of them, from the cloud service that keeps it; its code is loaded when it is needed.
 * @throws RotationError
 */
export async function readRemote(question: RemoteQuestion, clock: Clock): Promise<string> {
  const http = createHttp()
  try {
    if (question.scheme === 'csms') {
      const { readCsms } = await import('./huawei/csms.ts')
      const { keys, ...access } = question
      return await readCsms(question.name, { ...access, http, clock, keys: async () => keys })
    }
    const access = { ...question, http, clock }
    if (question.scheme === 's3') return await (await import('./aws/s3.ts')).readObject(question.name, access)
    return await (await import('./aws/secretsmanager.ts')).readSecret(question.name, access)
  } finally {
    await http.close()
  }
}
