/// The keys and values of the tokens that a generation has seen, for every attention of a graph.
///
/// Takes `2 · layers · batch · capacity · keyValueHeads · headSize` floats.
package final class KeyValueCache {
  /// How many tokens of each sequence it can hold.
  package let capacity: Int
  private let batch: Int
  private var layers: [Int: Layer] = [:]

  package init(batch: Int, capacity: Int) {
    self.batch = batch
    self.capacity = capacity
  }

  func layer(_ place: Int, keySize: Int, valueSize: Int) -> Layer {
    if let layer = layers[place] { return layer }
    let layer = Layer(batch: batch, capacity: capacity, keySize: keySize, valueSize: valueSize)
    layers[place] = layer
    return layer
  }

  /// One attention's keys [batch, capacity, keySize] and values [batch, capacity, valueSize].
  final class Layer {
    let capacity: Int
    let keys: UnsafePointer<Float>
    let values: UnsafePointer<Float>
    private let mutableKeys: UnsafeMutablePointer<Float>
    private let mutableValues: UnsafeMutablePointer<Float>

    init(batch: Int, capacity: Int, keySize: Int, valueSize: Int) {
      self.capacity = capacity
      mutableKeys = .allocate(capacity: batch * capacity * keySize)
      mutableValues = .allocate(capacity: batch * capacity * valueSize)
      keys = UnsafePointer(mutableKeys)
      values = UnsafePointer(mutableValues)
    }

    deinit {
      mutableKeys.deallocate()
      mutableValues.deallocate()
    }

    func append(_ k: Operand, _ v: Operand, batch: Int, length: Int, start: Int) {
      precondition(start + length <= capacity, "the cache holds \(capacity) tokens")
      for (source, target, size) in [
        (k.floats, mutableKeys, k.features), (v.floats, mutableValues, v.features),
      ] {
        for sequence in 0..<batch {
          (target + (sequence * capacity + start) * size)
            .update(from: source + sequence * length * size, count: length * size)
        }
      }
    }
  }
}
