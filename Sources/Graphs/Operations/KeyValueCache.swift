/// What every attention of a graph keeps of the tokens that a generation has seen: keys and values,
/// or the latents that they are made of.
///
/// Takes `2 · layers · batch · tokens · keyValueHeads · headSize` floats, with latents `layers · batch
/// · tokens · (rank + rotarySize)`, and up to twice that while it grows. Behind a sliding window the
/// tokens are at most twice the window's, however long the text: what no later token sees leaves.
package final class KeyValueCache {
  private let batch: Int
  private var layers: [Int: Layer] = [:]

  package init(batch: Int) {
    self.batch = batch
  }

  /// What it takes now.
  package var byteCount: Int { layers.values.reduce(0) { $0 + $1.byteCount } }

  func layer(_ place: Int, keySize: Int, valueSize: Int, window: Int? = nil) -> Layer {
    if let layer = layers[place] { return layer }
    let layer = Layer(batch: batch, keySize: keySize, valueSize: valueSize, window: window)
    layers[place] = layer
    return layer
  }

  /// One attention's keys [batch, capacity, keySize] and values [batch, capacity, valueSize], where
  /// they are not the keys' own memory; the rows of the newest `count` tokens are filled.
  final class Layer {
    private let batch: Int
    private let window: Int?
    private(set) var capacity = 0
    private(set) var count = 0
    /// The position of the token whose rows come first.
    private var first = 0
    private var keyRows: Rows
    private var valueRows: Rows

    var keys: UnsafePointer<Float> { UnsafePointer(keyRows.address) }
    var values: UnsafePointer<Float> { UnsafePointer(valueRows.address) }

    init(batch: Int, keySize: Int, valueSize: Int, window: Int?) {
      self.batch = batch
      self.window = window
      keyRows = Rows(width: keySize)
      valueRows = Rows(width: valueSize)
    }

    deinit {
      keyRows.address.deallocate()
      valueRows.address.deallocate()
    }

    var byteCount: Int {
      batch * capacity * (keyRows.width + valueRows.width) * MemoryLayout<Float>.stride
    }

    /// Puts the keys and values of `length` tokens behind those before the position `start`.
    ///
    /// - Precondition: the rows of the tokens that these see are still there.
    func append(_ k: Operand, _ v: Operand?, length: Int, start: Int) {
      let seen = min(start, window.map { $0 - 1 } ?? start)
      precondition(start - seen >= first && start <= first + count, "tokens follow each other")
      if start - first + length > capacity { makeRoom(for: seen + length, keeping: seen, start) }
      let place = start - first
      keyRows.write(k.floats, batch: batch, capacity: capacity, length: length, at: place)
      count = place + length
      guard let v else { return }
      valueRows.write(v.floats, batch: batch, capacity: capacity, length: length, at: place)
    }

    /// Moves the rows of the last tokens before a position to the front.
    private func makeRoom(for needed: Int, keeping kept: Int, _ start: Int) {
      // Twice the window, so that rows move once for as many new ones.
      let most = window.map { $0 < .max / 2 ? 2 * $0 : .max } ?? .max
      let size = max(needed, min(max(2 * capacity, 64), most))
      let rows = start - kept - first..<start - first
      keyRows.move(rows, batch: batch, from: capacity, to: size)
      valueRows.move(rows, batch: batch, from: capacity, to: size)
      capacity = size
      first = start - kept
    }
  }

  /// Rows of one width for each sequence of a batch.
  private struct Rows {
    let width: Int
    var address: UnsafeMutablePointer<Float> = .allocate(capacity: 1)

    /// Moves some rows of each sequence to its beginning, into other memory where there is to be room
    /// for more or fewer.
    mutating func move(_ rows: Range<Int>, batch: Int, from capacity: Int, to size: Int) {
      let isSame = size == capacity
      let target = isSame ? address : .allocate(capacity: max(batch * size * width, 1))
      for sequence in 0..<batch {
        (target + sequence * size * width).update(
          from: address + (sequence * capacity + rows.lowerBound) * width,
          count: rows.count * width
        )
      }
      if !isSame { address.deallocate() }
      address = target
    }

    func write(
      _ source: UnsafePointer<Float>,
      batch: Int,
      capacity: Int,
      length: Int,
      at place: Int
    ) {
      for sequence in 0..<batch {
        (address + (sequence * capacity + place) * width)
          .update(from: source + sequence * length * width, count: length * width)
      }
    }
  }
}
