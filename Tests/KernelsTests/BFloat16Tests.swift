import Foundation
import KaratKernels
import Testing

extension Kernels {
  /// Products of BF16 numbers where the processor has them: exact products, summed in float32.
  @Test(
    .enabled(if: hasBFloat16Products, "this processor does not multiply BF16 numbers"),
    arguments: [
      (1, 1, 1), (2, 3, 5), (12, 32, 32), (13, 33, 31), (7, 64, 100), (30, 97, 1_030),
      (64, 200, 77),
    ]
  )
  func bfloat16Products(rows: Int, outputs: Int, inputs: Int) {
    var numbers = Numbers(seed: 71)
    let x = numbers.floats(rows * inputs)
    let weight = numbers.floats(outputs * inputs)
    let bias = numbers.floats(outputs)
    let gradient = numbers.floats(rows * outputs)
    let (byInput, byWeight) = (numbers.floats(x.count), numbers.floats(weight.count))
    let rounded = [x, weight, gradient].map(\.roundedToBFloat16)
    func sum(_ count: Int, _ term: (Int) -> Double) -> Float {
      Float((0..<count).reduce(0.0) { $0 + term($1) })
    }
    let expected = (0..<rows * outputs).map { place in
      let (row, output) = place.quotientAndRemainder(dividingBy: outputs)
      return bias[output]
        + sum(inputs) {
          Double(rounded[0][row * inputs + $0]) * Double(rounded[1][output * inputs + $0])
        }
    }
    let expectedByInput = (0..<x.count).map { place in
      let (row, input) = place.quotientAndRemainder(dividingBy: inputs)
      return byInput[place]
        + sum(outputs) {
          Double(rounded[2][row * outputs + $0]) * Double(rounded[1][$0 * inputs + input])
        }
    }
    let expectedByWeight = (0..<weight.count).map { place in
      let (output, input) = place.quotientAndRemainder(dividingBy: inputs)
      return byWeight[place]
        + sum(rows) {
          Double(rounded[2][$0 * outputs + output]) * Double(rounded[0][$0 * inputs + input])
        }
    }
    let single = Workers(threads: 1)
    for workers in [single, Workers(threads: 3)] {
      let out = filled(rows * outputs, with: Float(7)) {
        linear(
          x: x,
          rows: rows,
          inFeatures: inputs,
          weight: weight,
          outFeatures: outputs,
          bias: bias,
          out: $0,
          in: .bfloat16,
          on: workers
        )
      }
      expectClose(out, expected, tolerance: 1e-6, "product")
      let dx = added(to: byInput) {
        linearInputGradient(
          gradient: gradient,
          rows: rows,
          inFeatures: inputs,
          weight: weight,
          outFeatures: outputs,
          addTo: $0,
          in: .bfloat16,
          on: workers
        )
      }
      expectClose(dx, expectedByInput, tolerance: 1e-6, "gradient by the input")
      let dw = added(to: byWeight) {
        linearWeightGradient(
          x: x,
          gradient: gradient,
          rows: rows,
          inFeatures: inputs,
          outFeatures: outputs,
          addTo: $0,
          in: .bfloat16,
          on: workers
        )
      }
      expectClose(dw, expectedByWeight, tolerance: 1e-6, "gradient by the weight")
    }
  }
}

extension [Float] {
  /// The nearest BF16 numbers, ties to even, of normal numbers.
  fileprivate var roundedToBFloat16: [Float] {
    map { number in
      let bits = number.bitPattern
      return Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
    }
  }
}
