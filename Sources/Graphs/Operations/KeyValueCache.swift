/// What every attention of a graph keeps of the tokens that a generation has seen: keys and values,
/// or the latents that they are made of.
///
/// Takes `2 · layers · batch · tokens · keyValueHeads · headSize` floats, with latents `layers · batch
/// · tokens · (rank + rotarySize)`, and up to twice that while it grows.
package final class KeyValueCache {
  private let batch: Int
  private var layers: [Int: Layer] = [:]

  package init(batch: Int) {
    self.batch = batch
  }

  func layer(_ place: Int, keySize: Int, valueSize: Int) -> Layer {
    if let layer = layers[place] { return layer }
    let layer = Layer(batch: batch, keySize: keySize, valueSize: valueSize)
    layers[place] = layer
    return layer
  }

  /// One attention's keys [batch, capacity, keySize] and values [batch, capacity, valueSize], where
  /// they are not the keys' own memory.
  final class Layer {
    private let batch: Int
    private(set) var capacity = 0
    private var keyRows: Rows
    private var valueRows: Rows

    var keys: UnsafePointer<Float> { UnsafePointer(keyRows.address) }
    var values: UnsafePointer<Float> { UnsafePointer(valueRows.address) }

    init(batch: Int, keySize: Int, valueSize: Int) {
      self.batch = batch
      keyRows = Rows(width: keySize, count: 0)
      valueRows = Rows(width: valueSize, count: 0)
    }

    deinit {
      keyRows.address.deallocate()
      valueRows.address.deallocate()
    }

    /// Puts the keys and values of `length` tokens behind the first `start` of each sequence.
    func append(_ k: Operand, _ v: Operand?, length: Int, start: Int) {
      if start + length > capacity {
        let grown = max(start + length, 2 * capacity, 64)
        keyRows.grow(batch: batch, from: capacity, to: grown, used: start)
        valueRows.grow(batch: batch, from: capacity, to: grown, used: start)
        capacity = grown
      }
      keyRows.write(k.floats, batch: batch, capacity: capacity, length: length, start: start)
      guard let v else { return }
      valueRows.write(v.floats, batch: batch, capacity: capacity, length: length, start: start)
    }
  }

  /// Rows of one width for each sequence of a batch.
  private struct Rows {
    let width: Int
    var address: UnsafeMutablePointer<Float>

    init(width: Int, count: Int) {
      self.width = width
      address = .allocate(capacity: max(width * count, 1))
    }

    mutating func grow(batch: Int, from capacity: Int, to grown: Int, used: Int) {
      let larger = UnsafeMutablePointer<Float>.allocate(capacity: batch * grown * width)
      for sequence in 0..<batch {
        (larger + sequence * grown * width)
          .update(from: address + sequence * capacity * width, count: used * width)
      }
      address.deallocate()
      address = larger
    }

    func write(
      _ source: UnsafePointer<Float>,
      batch: Int,
      capacity: Int,
      length: Int,
      start: Int
    ) {
      for sequence in 0..<batch {
        (address + (sequence * capacity + start) * width)
          .update(from: source + sequence * length * width, count: length * width)
      }
    }
  }
}
