// A request that fits a model's signature, in MLflow's scoring form; people change its values.

import type { SignatureField } from '../../generated/api';
import { code, to_python } from '../../lib/snippets';

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

// What the Open Inference Protocol calls the types of columns; those of tensors are its own.
const kDatatypes: Record<string, string> = {
  double: 'FP64',
  float: 'FP32',
  long: 'INT64',
  integer: 'INT32',
  boolean: 'BOOL',
  string: 'BYTES',
};

// The same request over gRPC, by the stock tritonclient.
export function grpc_of(endpoint: string, inputs: SignatureField[]): string {
  const given = inputs.map((field) => {
    const values = field.shape ? tensor_of(field.shape) : [[value_of(field.type)]];
    const datatype = kDatatypes[field.type] ?? field.type;
    return `    (${[field.name, datatype, values].map(to_python).join(', ')}),`;
  });
  return code(
    'import os, numpy, tritonclient.grpc, tritonclient.utils',
    '',
    'scheme, address = os.environ["STRATA_URL"].split("://")',
    'client = tritonclient.grpc.InferenceServerClient(address, ssl=scheme == "https")',
    'inputs = []',
    'for name, datatype, values in [',
    ...given,
    ']:',
    '    array = numpy.array(values, tritonclient.utils.triton_to_np_dtype(datatype))',
    '    one = tritonclient.grpc.InferInput(name, list(array.shape), datatype)',
    '    one.set_data_from_numpy(array)',
    '    inputs.append(one)',
    '',
    'token = "Bearer " + os.environ["STRATA_TOKEN"]',
    `answer = client.infer(${to_python(endpoint)}, inputs, headers={"authorization": token})`,
    'print(answer.get_response())',
  );
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
