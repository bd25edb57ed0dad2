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
  let product = karat_product_block(
    a: gradient,
    a_stride: outFeatures,
    a_is_transposed: false,
    b: weight,
    b_stride: inFeatures,
    c: dx,
    c_stride: inFeatures,
    rows: rows,
    inner: outFeatures,
    columns: inFeatures
  )
  add(product, on: workers)
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
  let product = karat_product_block(
    a: gradient,
    a_stride: outFeatures,
    a_is_transposed: true,
    b: x,
    b_stride: inFeatures,
    c: dw,
    c_stride: inFeatures,
    rows: outFeatures,
    inner: rows,
    columns: inFeatures
  )
  add(product, on: workers)
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

/// Cuts the result of a product into blocks: rows into an even number of equal parts of at most 192,
/// so that two threads end together, columns into parts of at most 768; each fills whole tiles.
private func add(_ product: karat_product_block, on workers: Workers) {
  let height = part(of: product.rows, into: 2 * ((product.rows + 383) / 384), step: 12)
  let width = part(of: product.columns, into: (product.columns + 767) / 768, step: 32)
  let down = (product.rows + height - 1) / height
  let across = (product.columns + width - 1) / width
  workers.forEachTile(down * across) { tile in
    let row = tile % down * height
    let column = tile / down * width
    var block = product
    block.a += product.a_is_transposed ? row : row * product.a_stride
    block.b += column
    block.c += row * product.c_stride + column
    block.rows = min(height, product.rows - row)
    block.columns = min(width, product.columns - column)
    withUnsafePointer(to: block) { block in
      withScratch(kernels.product_scratch(block)) { kernels.add_product(block, $0) }
    }
  }
}

/// The size of one of `parts` equal parts of `count`, rounded up to a multiple of `step`.
private func part(of count: Int, into parts: Int, step: Int) -> Int {
  let size = (count + max(1, parts) - 1) / max(1, parts)
  return max(1, (size + step - 1) / step) * step
}
