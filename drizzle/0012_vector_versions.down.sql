-- Reverts 0012_vector_versions. Dropped tables and columns are restored empty.
DROP TABLE `vector_versions`;
