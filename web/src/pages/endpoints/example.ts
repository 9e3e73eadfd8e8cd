// A request that fits a model's signature, in MLflow's scoring form; people change its values.

import type { SignatureField } from '../../generated/api';

export function example_of(inputs: SignatureField[]): unknown {
  if (!inputs.length) return { inputs: [[0]] };
  if (inputs.some((field) => field.shape)) {
    const whole = Object.fromEntries(
      inputs.map((field) => [field.name, tensor_of(field.shape ?? '')]),
    );
    return { inputs: inputs.length === 1 ? whole[inputs[0]!.name] : whole };
  }
  return {
    dataframe_split: {
      columns: inputs.map((f) => f.name),
      data: [inputs.map((f) => value_of(f.type))],
    },
  };
}

function value_of(type: string): unknown {
  if (/bool/i.test(type)) return false;
  if (/str/i.test(type)) return 'text';
  if (/date|time/i.test(type)) return '2013-11-01T09:00:00';
  return /int|long/i.test(type) ? 1 : 0.5;
}

// "[-1, 4]" as one row of zeros.
function tensor_of(shape: string): unknown {
  const sizes = [...shape.matchAll(/-?\d+/g)].map((m) => Math.max(1, Number(m[0])));
  return sizes.reduceRight<unknown>((inner, size) => Array.from({ length: size }, () => inner), 0);
}
