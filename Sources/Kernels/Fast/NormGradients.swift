import CKernels

/// Adds the gradients of `rmsNorm` by its input [rows, features] and its weight [features]; nil where
/// one is not wanted.
///
/// x and gradient are [rows, features]: the input of the forward pass, and the gradient by its
/// result.
package func rmsNormGradient(
  x: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  weight: UnsafePointer<Float>,
  epsilon: Float,
  gradient: UnsafePointer<Float>,
  addToX dx: UnsafeMutablePointer<Float>?,
  addToWeight dw: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  forEachRunOfRows(rows, features: features, sums: [dw], on: workers) { run, partials in
    let first = run.lowerBound * features
    kernels.rms_norm_gradient(
      x + first,
      run.count,
      features,
      weight,
      epsilon,
      gradient + first,
      dx.map { $0 + first },
      partials[0]
    )
  }
}

/// Adds the gradients of `layerNorm` by its input [rows, features], its weight and its bias
/// [features]; nil where one is not wanted.
///
/// x and gradient are [rows, features]: the input of the forward pass, and the gradient by its
/// result.
package func layerNormGradient(
  x: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  weight: UnsafePointer<Float>,
  epsilon: Float,
  gradient: UnsafePointer<Float>,
  addToX dx: UnsafeMutablePointer<Float>?,
  addToWeight dw: UnsafeMutablePointer<Float>?,
  addToBias db: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  forEachRunOfRows(rows, features: features, sums: [dw, db], on: workers) { run, partials in
    let first = run.lowerBound * features
    kernels.layer_norm_gradient(
      x + first,
      run.count,
      features,
      weight,
      epsilon,
      gradient + first,
      dx.map { $0 + first },
      partials[0],
      partials[1]
    )
  }
}

/// Cuts rows into runs, each with zeros of its own to sum over its rows in, [features] for each of
/// `sums` that is wanted; adds what the runs have summed, in their order.
private func forEachRunOfRows(
  _ rows: Int,
  features: Int,
  sums: [UnsafeMutablePointer<Float>?],
  on workers: Workers,
  _ body: (Range<Int>, [UnsafeMutablePointer<Float>?]) -> Void
) {
  let height = max(1, elementsPerTile / max(1, features))
  let runs = (rows + height - 1) / height
  withScratch(sums.count * runs * features) { partials in
    partials.update(repeating: 0, count: sums.count * runs * features)
    func partial(_ sum: Int, _ run: Int) -> UnsafeMutablePointer<Float> {
      partials + (sum * runs + run) * features
    }
    workers.forEachRun(of: height, in: rows) { run in
      let own = sums.indices.map { sum in
        sums[sum].map { _ in partial(sum, run.lowerBound / height) }
      }
      body(run, own)
    }
    for (index, sum) in sums.enumerated() {
      guard let sum else { continue }
      addColumnSums(of: partial(index, 0), rows: runs, features: features, addTo: sum, on: workers)
    }
  }
}
