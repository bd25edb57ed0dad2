import CKernels

/// Adds the gradients of `swiglu` by gate and up; nil where one is not wanted.
///
/// gate and up are the inputs of the forward pass, gradient that by its result.
package func swigluGradient(
  gate: UnsafePointer<Float>,
  up: UnsafePointer<Float>,
  gradient: UnsafePointer<Float>,
  count: Int,
  addToGate: UnsafeMutablePointer<Float>?,
  addToUp: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    let first = run.lowerBound
    kernels.swiglu_gradient(
      gate + first,
      up + first,
      gradient + first,
      run.count,
      addToGate.map { $0 + first },
      addToUp.map { $0 + first }
    )
  }
}

/// Adds the gradient of an activation of x: dx += gradient · the activation's derivative at x.
///
/// That of `relu` at 0 is 0, as PyTorch has it.
package func activationGradient(
  _ kind: ActivationKind,
  x: UnsafePointer<Float>,
  gradient: UnsafePointer<Float>,
  count: Int,
  addTo dx: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    let first = run.lowerBound
    kernels.activation_gradient(kind.kernel, x + first, gradient + first, run.count, dx + first)
  }
}

/// Adds elements to others: out += x.
package func accumulate(
  _ x: UnsafePointer<Float>,
  count: Int,
  addTo out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  add(a: out, b: x, count: count, out: out, on: workers)
}

/// Multiplies elements in place: x *= factor.
package func scale(
  _ x: UnsafeMutablePointer<Float>,
  count: Int,
  by factor: Float,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    withUnsafePointer(to: factor) {
      kernels.scale_blocks(x + run.lowerBound, 0, run.count, $0, run.count)
    }
  }
}
