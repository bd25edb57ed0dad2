import CKernels

/// Adds the gradient of a linear map by its input: dx [rows, inFeatures] += gradient [rows,
/// outFeatures] · weight [outFeatures, inFeatures].
package func linearInputGradient(
  gradient: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  weight: UnsafePointer<Float>,
  outFeatures: Int,
  addTo dx: UnsafeMutablePointer<Float>,
  in arithmetic: ProductArithmetic = .float32,
  on workers: Workers
) {
  addProduct(
    BLAS.Factor(pointer: gradient, stride: outFeatures),
    BLAS.Factor(pointer: weight, stride: inFeatures),
    rows: rows,
    columns: inFeatures,
    inner: outFeatures,
    to: dx,
    in: arithmetic,
    on: workers
  )
}

/// Adds the gradient of a linear map by its weight: dw [outFeatures, inFeatures] += gradient [rows,
/// outFeatures] transposed · x [rows, inFeatures].
package func linearWeightGradient(
  x: UnsafePointer<Float>,
  gradient: UnsafePointer<Float>,
  rows: Int,
  inFeatures: Int,
  outFeatures: Int,
  addTo dw: UnsafeMutablePointer<Float>,
  in arithmetic: ProductArithmetic = .float32,
  on workers: Workers
) {
  addProduct(
    BLAS.Factor(pointer: gradient, stride: outFeatures, transposed: true),
    BLAS.Factor(pointer: x, stride: inFeatures),
    rows: outFeatures,
    columns: inFeatures,
    inner: rows,
    to: dw,
    in: arithmetic,
    on: workers
  )
}

/// Adds the sum of each column of a gradient [rows, features] to sums [features]: what a bias that
/// all rows share gets.
package func addColumnSums(
  of gradient: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  addTo sums: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(64, elementsPerTile / max(1, rows)), in: features) { run in
    let target = sums + run.lowerBound
    for row in 0..<rows {
      kernels.add(target, gradient + row * features + run.lowerBound, run.count, target)
    }
  }
}
