import CKernels

/// How the vectors of tokens become one vector.
package enum PoolingKind: Sendable, Hashable, CaseIterable {
  /// Their mean.
  case mean
  /// Their sum over the root of their number.
  case meanOverRoot
  /// The largest of each feature.
  case max
}

/// Adds the gradient of pooling by its input: x and dx are [batch, length, features], mask is
/// [batch, length], 0 for padding, gradient [batch, features].
///
/// Tokens share the gradient of a mean alike. That of a maximum goes to the token that had it, the
/// first of equals. x is read for `max` alone.
package func poolingGradient(
  _ kind: PoolingKind,
  x: UnsafePointer<Float>,
  mask: UnsafePointer<Int32>,
  batch: Int,
  length: Int,
  features: Int,
  gradient: UnsafePointer<Float>,
  addTo dx: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachTile(batch) { sequence in
    let tokens = (sequence * length..<(sequence + 1) * length).filter { mask[$0] != 0 }
    let upstream = gradient + sequence * features
    switch kind {
    case .mean, .meanOverRoot:
      let count = Float(tokens.count)
      let divisor = kind == .mean ? count : count.squareRoot()
      withScratch(features) { share in
        for index in 0..<features { share[index] = upstream[index] / divisor }
        for token in tokens {
          let target = dx + token * features
          kernels.add(target, share, features, target)
        }
      }
    case .max:
      guard let first = tokens.first else { return }
      var winners = [Int](repeating: first, count: features)
      for token in tokens.dropFirst() {
        for index in 0..<features
        where !(x[token * features + index] <= x[winners[index] * features + index]) {
          winners[index] = token
        }
      }
      for index in 0..<features { dx[winners[index] * features + index] += upstream[index] }
    }
  }
}
