import * as v from 'valibot'
import { durationField, orNull } from '../../base/fields.ts'
import { DAY_MS } from '../../base/time.ts'
import type { DeviceWatch } from '../../model/target.ts'

/** SearchDevices takes 400 characters; `select count(*) from device where status = 'ONLINE' and ` is before it. */
const WHERE_AT_MOST = 320
/** Of five conditions one is ours. */
const CONDITIONS_AT_MOST = 4

const where = () =>
  v.pipe(
    v.string('must be conditions such as "product_id = \'...\'"'),
    v.maxLength(WHERE_AT_MOST, `must have at most ${WHERE_AT_MOST} characters`),
    v.check(
      text => /^[^\p{Cc};]+$/u.test(text),
      'must be conditions such as "product_id = \'...\'", on one line',
    ),
    v.check(
      text => !/\bor\b/i.test(withoutTexts(text)),
      'must join its conditions by AND: SearchDevices knows no brackets, so OR would count what is offline, too',
    ),
    v.check(
      text => (withoutTexts(text).match(/\band\b/gi)?.length ?? 0) < CONDITIONS_AT_MOST,
      `must have at most ${CONDITIONS_AT_MOST} conditions`,
    ),
  )

const withoutTexts = (text: string): string => text.replace(/'[^']*'/g, "''")

const tolerance = () =>
  v.pipe(
    v.string('must be a percentage such as "10%"'),
    v.regex(/^\d{1,2}%$/, 'must be a percentage from "1%" to "99%"'),
    v.transform(text => Number.parseInt(text, 10) / 100),
    v.minValue(0.01, 'must be a percentage from "1%" to "99%"'),
  )

/** Null: devices are not counted. */
export const devicesField = () =>
  orNull(
    v.strictObject({
      /** How long after a bind devices are counted at every run. */
      watch: v.pipe(durationField(14 * DAY_MS), v.minValue(1, 'must be longer than nothing')),
      /** How many of the usual devices may be missing. */
      tolerance: v.optional(tolerance(), '10%'),
      /** Which devices count, in the SQL of SearchDevices. Default: all of the instance. */
      where: orNull(where()),
      /** Where fewer are usual at an hour, a count says nothing. */
      minimum: v.optional(
        v.pipe(v.number('must be a number'), v.integer('must be whole'), v.minValue(1, 'must be at least 1')),
        20,
      ),
    }),
  )

/** As the rotation has it. */
export const toDevices = (shape: v.InferOutput<ReturnType<typeof devicesField>>): DeviceWatch | null =>
  shape && {
    watchMs: shape.watch,
    tolerance: shape.tolerance,
    where: shape.where,
    minimum: shape.minimum,
  }
