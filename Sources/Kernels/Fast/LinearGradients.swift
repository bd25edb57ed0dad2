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
  on workers: Workers
) {
  guard outFeatures > 0 else { return }
  forEachBlock(rows: rows, columns: inFeatures, on: workers) { rows, columns in
    BLAS.multiply(
      BLAS.Factor(pointer: gradient + rows.lowerBound * outFeatures, stride: outFeatures),
      BLAS.Factor(pointer: weight + columns.lowerBound, stride: inFeatures),
      m: rows.count,
      n: columns.count,
      k: outFeatures,
      beta: 1,
      into: dx + rows.lowerBound * inFeatures + columns.lowerBound,
      stride: inFeatures
    )
  }
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
  on workers: Workers
) {
  guard rows > 0 else { return }
  forEachBlock(rows: outFeatures, columns: inFeatures, on: workers) { outputs, columns in
    BLAS.multiply(
      BLAS.Factor(pointer: gradient + outputs.lowerBound, stride: outFeatures, transposed: true),
      BLAS.Factor(pointer: x + columns.lowerBound, stride: inFeatures),
      m: outputs.count,
      n: columns.count,
      k: rows,
      beta: 1,
      into: dw + outputs.lowerBound * inFeatures + columns.lowerBound,
      stride: inFeatures
    )
  }
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

/// Cuts the result of a product into blocks: rows into an even number of equal parts of at most 288,
/// so that two threads end together, columns into equal parts of at most 1536, since BLAS packs a
/// factor anew for each block.
private func forEachBlock(
  rows: Int,
  columns: Int,
  on workers: Workers,
  _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
) {
  let down = 2 * ((rows + 575) / 576)
  let across = (columns + 1535) / 1536
  workers.forEachTile(down * across) { tile in
    let (row, column) = (tile % down, tile / down)
    let rows = rows * row / down..<rows * (row + 1) / down
    let columns = columns * column / across..<columns * (column + 1) / across
    if !rows.isEmpty { body(rows, columns) }
  }
}
