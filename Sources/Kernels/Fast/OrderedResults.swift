extension Workers {
  /// What `body` gives for runs of `size` of `count` items, in the order of the runs: added up in
  /// that order, it has the same bits for any number of threads.
  func results<Result>(
    ofRuns size: Int,
    in count: Int,
    _ body: (Range<Int>) -> Result
  ) -> [Result] {
    let runs = (count + size - 1) / size
    return Array(unsafeUninitializedCapacity: runs) { results, initialized in
      // Each run writes a place of its own.
      nonisolated(unsafe) let results = results
      forEachTile(runs) { run in
        let range = run * size..<min(count, (run + 1) * size)
        results.initializeElement(at: run, to: body(range))
      }
      initialized = runs
    }
  }
}
