import { randomUUID } from 'node:crypto'
import type { Answer } from '../kit/http.ts'
import type { Rejection } from './signature.ts'

/** An error of the gateway: unlike the service's own, its body names the request. */
export function gatewayError(status: number, code: string, message: string, requestId: string): Answer {
  return { status, body: { error_msg: message, error_code: code, request_id: requestId } }
}

/** What no service has published: the gateway's answer. */
export const unknownRoute = (): Answer =>
  gatewayError(
    404,
    'APIGW.0101',
    'The API does not exist or has not been published in the environment',
    randomUUID().replaceAll('-', ''),
  )

/**
 * The 401 of a rejected request: the gateway's, or IoTDA's own for a wrong algorithm.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/ErrorCode.html
 */
export function unauthorized(rejection: Rejection, requestId: string): Answer {
  const { code, message } = rejection
  if (code === 'wrong-algorithm')
    return { status: 401, body: { error_code: 'IOTDA.000002', error_msg: 'Authentication failed.' } }
  if (code === 'skew')
    return gatewayError(401, 'APIGW.0303', `Incorrect app authentication information: ${message}`, requestId)
  return gatewayError(401, 'APIGW.0301', `Incorrect IAM authentication information: ${message}`, requestId)
}
