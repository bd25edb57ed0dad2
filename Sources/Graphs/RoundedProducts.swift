import KaratKernels
import KaratTensors

/// Products of linear maps in the numbers that training holds their factors in.
extension Rounding? {
  /// out [rows, outFeatures] = x [rows, inFeatures] · weight [outFeatures, inFeatures] transposed + bias.
  func linear(
    _ x: Operand,
    _ weight: Operand,
    bias: Operand?,
    isSteady: Bool,
    out: Operand,
    on workers: Workers
  ) {
    withFactor(x, on: workers) { numbers in
      withFactor(weight, on: workers) { weights in
        KaratKernels.linear(
          x: numbers,
          rows: x.rows,
          inFeatures: x.features,
          weight: weights,
          outFeatures: weight.rows,
          bias: bias?.floats,
          out: out.mutableFloats,
          isSteady: isSteady,
          in: arithmetic,
          on: workers
        )
      }
    }
  }

  /// dx [rows, inFeatures] += gradient [rows, outFeatures] · weight [outFeatures, inFeatures].
  func addInputGradient(
    _ gradient: Operand,
    _ weight: Operand,
    to dx: UnsafeMutablePointer<Float>,
    on workers: Workers
  ) {
    withGradient(gradient, on: workers) { numbers in
      withFactor(weight, on: workers) { weights in
        linearInputGradient(
          gradient: numbers,
          rows: gradient.rows,
          inFeatures: weight.features,
          weight: weights,
          outFeatures: weight.rows,
          addTo: dx,
          in: arithmetic,
          on: workers
        )
      }
    }
  }

  /// dw [outFeatures, inFeatures] += gradient [rows, outFeatures] transposed · x [rows, inFeatures].
  func addWeightGradient(
    _ gradient: Operand,
    _ x: Operand,
    to dw: UnsafeMutablePointer<Float>,
    on workers: Workers
  ) {
    withGradient(gradient, on: workers) { numbers in
      withFactor(x, on: workers) { factors in
        linearWeightGradient(
          x: factors,
          gradient: numbers,
          rows: x.rows,
          inFeatures: x.features,
          outFeatures: gradient.features,
          addTo: dw,
          in: arithmetic,
          on: workers
        )
      }
    }
  }
}
