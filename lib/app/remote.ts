import type { Clock } from '../base/time.ts'
import { proxyFrom } from '../config/proxy.ts'
import type { Remote, RemoteQuestion } from '../config/remote.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { createHttp } from '../http/client.ts'
import type { Http } from '../http/http.ts'

/** Reads settings, and secrets of them, from the cloud service that keeps them; its code is loaded when it is needed. */
export const remoteOf =
  (around: Surroundings, clock: Clock): Remote =>
  question =>
    read(question, createHttp({ proxy: proxyFrom(around) }), clock)

async function read(question: RemoteQuestion, http: Http, clock: Clock): Promise<string> {
  try {
    if (question.scheme === 'csms') {
      const { readCsms } = await import('../clouds/huawei/csms.ts')
      const { keys, ...access } = question
      return await readCsms(question.name, { ...access, http, clock, keys: async () => keys })
    }
    const access = { ...question, http, clock }
    if (question.scheme === 's3')
      return await (await import('../clouds/aws/s3.ts')).readObject(question.name, access)
    return await (await import('../clouds/aws/secretsmanager.ts')).readSecret(question.name, access)
  } finally {
    await http.close()
  }
}
